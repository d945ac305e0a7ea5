#include "runtime/train/batches.h"

#include <algorithm>

#include "runtime/base/trace.h"

namespace tranche {
namespace {

// Where the host writes what a tensor is to hold: the tensor itself, if it can.
Tensor room_on_host(const Tensor& tensor) {
  Device& host = tensor.device().staging();
  if (&host == &tensor.device()) return tensor;
  return Tensor::empty(host, tensor.name() + " on the host", Category::activations, tensor.shape(), tensor.dtype());
}

// fill(tokens, targets): the host's part.
template <class Fill>
MicroBatch make_micro_batch(std::size_t samples, std::size_t sequence_length, std::size_t number, Device& device,
                            const Fill& fill) {
  const auto tensor = [&](const char* name) {
    return Tensor::empty(device, name, Category::activations, {samples, sequence_length}, DType::int32);
  };
  MicroBatch micro{number, tensor("tokens"), tensor("targets")};
  const Tensor tokens = room_on_host(micro.tokens), targets = room_on_host(micro.targets);
  fill(tokens, targets);
  micro.tokens.assign(tokens.byte_span());
  micro.targets.assign(targets.byte_span());
  return micro;
}

}  // namespace

MicroBatch unread_tensors(std::size_t samples, std::size_t sequence_length, std::size_t number, Device& device) {
  return make_micro_batch(samples, sequence_length, number, device, [](const Tensor&, const Tensor&) {});
}

MicroBatch read_tensors(const TokenFile& file, const std::vector<std::uint64_t>& samples, std::size_t sequence_length,
                        std::size_t number, Device& device) {
  MicroBatch micro = make_micro_batch(
      samples.size(), sequence_length, number, device, [&](const Tensor& tokens, const Tensor& targets) {
        read_micro_batch(file, samples, sequence_length, tokens.span<Token>(), targets.span<Token>());
      });
  micro.samples = samples;
  return micro;
}

BatchReader::BatchReader(const TokenFile& file, const BatchPlan& plan, std::size_t sequence_length, std::uint64_t seed,
                         Device& device)
    : file_(file),
      plan_(plan),
      sequence_length_(sequence_length),
      order_(count_samples(file, sequence_length), plan.micro_batch_size, plan.deal.micro_batches, seed),
      device_(device) {}

Batch BatchReader::read(std::uint64_t step, std::size_t rank) const {
  const Doing frame{[&] { return str("reading the batch of step ", step + 1); }};
  const trace::Span span{trace::Kind::disk, "read the batch"};
  Batch batch;
  for (const std::size_t number : plan_.deal.of_rank(rank))
    batch.push_back(read_tensors(file_, order_.samples_of(step, number), sequence_length_, number, device_));
  return batch;
}

}  // namespace tranche
