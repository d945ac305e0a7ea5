#include "runtime/ops/elementwise.h"

#include "runtime/ops/arguments.h"
#include "runtime/ops/kernels.h"

namespace tranche::ops {
namespace {

void check_probability(std::string_view op, float probability) {
  check(probability >= 0.0f && probability < 1.0f, op, ": the probability is ", probability, ", expected [0, 1)");
}

}  // namespace

void add(const Tensor& a, const Tensor& b, const Tensor& y) {
  check_floating("add", "a", a);
  check_same("add", "b", b, a);
  check_same("add", "y", y, a);
  kernels_of(a.device())
      .elementwise.add(a.device(), {.a = elements_of(a), .b = elements_of(b), .y = elements_of(y), .size = a.size()});
}

void store(const Tensor& from, const Destination& to) {
  if (!to) return;
  check_floating("store", "from", from);
  check_floating("store", "the destination", to.tensor);
  check_size("store", "the destination", to.tensor, from.size());
  check_device("store", "the destination", to.tensor, from);
  kernels_of(from.device())
      .elementwise.store(from.device(), {.from = elements_of(from), .to = target_of(to), .size = from.size()});
}

void convert(const Tensor& x, const Tensor& y) {
  check_floating("convert", "x", x);
  check_floating("convert", "y", y);
  check_size("convert", "y", y, x.size());
  check_device("convert", "y", y, x);
  kernels_of(x.device()).elementwise.convert(x.device(), {.x = elements_of(x), .y = elements_of(y), .size = x.size()});
}

void scale(const Tensor& x, float factor) {
  check_floating("scale", "x", x);
  kernels_of(x.device()).elementwise.scale(x.device(), {.x = elements_of(x), .factor = factor, .size = x.size()});
}

void accumulate(std::span<const std::byte> from, DType dtype, const Tensor& sum) {
  check_dtype("accumulate", "the sum", sum, DType::float32);
  check(is_floating(dtype), "accumulate: the addends are ", name_of(dtype), ", expected float32, bfloat16 or float16");
  check(from.size() == sum.size() * bytes_of(dtype), "accumulate: ", from.size(), " bytes of ", name_of(dtype),
        " do not match ", sum.size(), " sums");
  const Elements elements{const_cast<std::byte*>(from.data()), dtype};
  kernels_of(sum.device())
      .elementwise.accumulate(sum.device(),
                              {.from = elements, .sum = elements_of(sum).as<float>(), .size = sum.size()});
}

void dropout(const Tensor& x, float probability, RandomKey key, const Tensor& y) {
  check_floating("dropout", "x", x);
  check_same("dropout", "y", y, x);
  check_probability("dropout", probability);
  kernels_of(x.device())
      .elementwise.dropout(x.device(), {.x = elements_of(x),
                                        .probability = probability,
                                        .key = key.bits(),
                                        .y = target_of({.tensor = y}),
                                        .size = x.size()});
}

void dropout_gradient(const Tensor& dy, float probability, RandomKey key, const Destination& dx) {
  if (!dx) return;
  check_floating("dropout_gradient", "dy", dy);
  check_same("dropout_gradient", "dx", dx.tensor, dy);
  check_probability("dropout_gradient", probability);
  kernels_of(dy.device())
      .elementwise.dropout(
          dy.device(),
          {.x = elements_of(dy), .probability = probability, .key = key.bits(), .y = target_of(dx), .size = dy.size()});
}

void fill_normal(const Tensor& x, RandomKey key, std::uint64_t first, float mean, float deviation) {
  check_dtype("fill_normal", "x", x, DType::float32);
  kernels_of(x.device())
      .elementwise.fill_normal(x.device(), {.x = elements_of(x).as<float>(),
                                            .key = key.bits(),
                                            .first = first,
                                            .mean = mean,
                                            .deviation = deviation,
                                            .size = x.size()});
}

void fill_constant(const Tensor& x, float value) {
  check_floating("fill_constant", "x", x);
  kernels_of(x.device()).elementwise.fill_constant(x.device(), {.x = elements_of(x), .value = value, .size = x.size()});
}

}  // namespace tranche::ops
