#include "runtime/ops/optimizer.h"

#include "runtime/ops/arguments.h"
#include "runtime/ops/functors/word_sum.h"
#include "runtime/ops/kernels.h"

namespace tranche::ops {
namespace {

void check_state(std::string_view op, std::string_view what, const Tensor& tensor, const Tensor& weights) {
  check_dtype(op, what, tensor, DType::float32);
  check_same(op, what, tensor, weights);
}

void check_working(std::string_view op, const Tensor& working, const Tensor& weights) {
  if (!working) return;
  check(is_half(working.dtype()), op, ": the working copy is ", name_of(working.dtype()),
        ", expected bfloat16 or float16");
  check_size(op, "the working copy", working, weights.size());
  check_device(op, "the working copy", working, weights);
}

void check_sums(std::string_view op, const PassedSums& sums, const Tensor& weights) {
  if (sums.run == 0) return;
  check(weights.device().type() == DeviceType::cpu, op, ": sums are made in memory of the host, and ", weights.name(),
        " is not there");
  check(sums.run % block == 0 && weights.size() % block == 0, op, ": sums over ", sums.run, " of ", weights.size(),
        " elements are not over blocks of ", block);
}

}  // namespace

std::uint64_t word_sum(std::span<const std::byte> bytes) {
  functors::WordSum<16> sum;
  check(bytes.size() % sum.stride == 0, "word_sum: ", bytes.size(), " bytes are not a multiple of ", sum.stride);
  sum.add(bytes.data(), bytes.size());
  return sum.value();
}

void adam(const AdamStep& step, const Tensor& weights, const Tensor& mean, const Tensor& square, const Tensor& gradient,
          const Tensor& working, const PassedSums& sums) {
  check_dtype("adam", "weights", weights, DType::float32);
  check_state("adam", "mean", mean, weights);
  check_state("adam", "square", square, weights);
  check_state("adam", "gradient", gradient, weights);
  check_working("adam", working, weights);
  check_sums("adam", sums, weights);
  kernels_of(weights.device())
      .optimizer.adam(weights.device(), {.step = step,
                                         .weights = elements_of(weights).as<float>(),
                                         .mean = elements_of(mean).as<float>(),
                                         .square = elements_of(square).as<float>(),
                                         .gradient = elements_of(gradient).as<const float>(),
                                         .working = elements_of(working),
                                         .size = weights.size(),
                                         .sums = sums});
}

void sgd(const SgdStep& step, const Tensor& weights, const Tensor& buffer, const Tensor& gradient,
         const Tensor& working, const PassedSums& sums) {
  check_dtype("sgd", "weights", weights, DType::float32);
  check(buffer || step.momentum == 0.0f, "sgd: a momentum of ", step.momentum, " needs a buffer");
  if (buffer) check_state("sgd", "buffer", buffer, weights);
  check_state("sgd", "gradient", gradient, weights);
  check_working("sgd", working, weights);
  check_sums("sgd", sums, weights);
  kernels_of(weights.device())
      .optimizer.sgd(weights.device(), {.step = step,
                                        .weights = elements_of(weights).as<float>(),
                                        .buffer = elements_of(buffer).as<float>(),
                                        .gradient = elements_of(gradient).as<const float>(),
                                        .working = elements_of(working),
                                        .size = weights.size(),
                                        .sums = sums});
}

}  // namespace tranche::ops
