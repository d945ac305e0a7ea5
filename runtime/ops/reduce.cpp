#include "runtime/ops/reduce.h"

#include "runtime/ops/arguments.h"
#include "runtime/ops/kernels.h"

namespace tranche::ops {

void scale_and_sum_squares(const Tensor& gradient, float factor, std::span<double> partials) {
  constexpr std::string_view op = "scale_and_sum_squares";
  check_dtype(op, "gradient", gradient, DType::float32);
  check(gradient.size() % block == 0, op, ": ", gradient.name(), " has ", gradient.size(),
        " elements, not a multiple of ", block);
  check(partials.size() == gradient.size() / block, op, ": ", partials.size(), " partial sums for ",
        gradient.size() / block, " blocks");
  kernels_of(gradient.device())
      .reduce.scale_and_sum_squares(gradient.device(), {.gradient = elements_of(gradient).as<float>(),
                                                        .factor = factor,
                                                        .partials = partials.data(),
                                                        .blocks = partials.size()});
}

double add_in_order(Device& device, double sum, const Rows& rows) {
  check(rows.total == 0 || rows.count != 0, "add_in_order: ", rows.total, " numbers in rows of none");
  return kernels_of(device).reduce.add_in_order(device, {.sum = sum, .rows = rows});
}

double add_in_order(Device& device, double sum, std::span<const double> values) {
  const std::size_t count = values.size();
  return add_in_order(device, sum, {.values = values.data(), .count = count, .stride = count, .total = count});
}

std::optional<std::size_t> first_non_finite(const Tensor& x) {
  check_floating("first_non_finite", "x", x);
  const std::size_t first =
      kernels_of(x.device()).reduce.first_non_finite(x.device(), {.x = elements_of(x), .size = x.size()});
  if (first == x.size()) return std::nullopt;
  return first;
}

}  // namespace tranche::ops
