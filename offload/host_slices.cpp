#include "offload/host_slices.h"

namespace tranche {

void HostSlices::adopt(const Unit& unit, std::size_t elements, DType dtype) {
  check(unit.index() == slices_.size(), unit.name(), " is adopted out of order");
  slices_.push_back({.kept = Tensor::empty(host_, unit.name() + " slice", Category::parameters, {1, elements}, dtype)});
}

void HostSlices::fetch(const Unit& unit) {
  Slice& slice = slices_[unit.index()];
  check(!slice.on_device, unit.name(), " is fetched twice");
  slice.on_device = Tensor::empty(device_, unit.name() + " slice from the host", Category::communication,
                                  slice.kept.shape(), slice.kept.dtype());
  slice.arrival = copies_->copy(slice.kept.byte_span(), slice.on_device.byte_span());
}

std::span<const std::byte> HostSlices::fetched(const Unit& unit) {
  const Slice& slice = slices_[unit.index()];
  slice.arrival.wait();
  return slice.on_device.byte_span();
}

void HostSlices::evict(const Unit& unit) {
  Slice& slice = slices_[unit.index()];
  slice.arrival.wait();
  slice.on_device = {};
}

Event HostSlices::write(const Unit& unit, std::size_t first, const Tensor& from) {
  return copies_->copy(from.byte_span(), slices_[unit.index()].kept.view(first, from.shape()).byte_span());
}

}  // namespace tranche
