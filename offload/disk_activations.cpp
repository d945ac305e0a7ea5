#include "offload/disk_activations.h"

#include "runtime/base/round.h"

namespace tranche {

void DiskActivations::rest(Input& input) const {
  if (places_.size() <= input.depth) places_.resize(input.depth + 1);
  Place& place = places_[input.depth];
  const std::size_t bytes = input.on_host.bytes();
  if (place.bytes < bytes) place = {disk_.extend(bytes, Category::activations, "inputs of units"), bytes};
  input.written = disk_.write(place.offset, input.on_host.byte_span());
}

void DiskActivations::settle(Input& input) const {
  wait_for(input.written);
  input.on_host = {};
}

void DiskActivations::call(Input& input) const {
  if (input.on_host || input.here) return;
  input.on_host = Tensor::empty(host_, "an input from disk", Category::activations,
                                {1, padded(input.bytes, SwapFile::alignment) / bytes_of(input.dtype)}, input.dtype);
  input.read = disk_.read(places_[input.depth].offset, input.on_host.byte_span());
}

void DiskActivations::await(Input& input) const {
  call(input);
  wait_for(input.written);
  wait_for(input.read);
}

}  // namespace tranche
