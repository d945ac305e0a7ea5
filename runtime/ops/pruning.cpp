#include "runtime/ops/pruning.h"

#include "runtime/ops/arguments.h"
#include "runtime/ops/kernels.h"

namespace tranche::ops {
namespace {

void check_pair(std::string_view op, const Tensor& values, const Tensor& pruned) {
  check_dtype(op, "values", values, DType::float32);
  check_same(op, "pruned", pruned, values);
}

}  // namespace

void zero_where(const Tensor& pruned, const Tensor& values) {
  constexpr std::string_view op = "zero_where";
  check_dtype(op, "pruned", pruned, DType::float32);
  check_floating(op, "values", values);
  check_size(op, "values", values, pruned.size());
  check_device(op, "values", values, pruned);
  kernels_of(values.device())
      .pruning.zero_where(values.device(), {elements_of(pruned).as<const float>(), elements_of(values), values.size()});
}

void count_keys(const Tensor& values, const Tensor& pruned, KeyOrder order, std::uint32_t prefix, unsigned shift,
                std::span<std::uint64_t> counts) {
  check_pair("count_keys", values, pruned);
  check(shift <= 24 && shift % key_digit_bits == 0, "count_keys: a shift of ", shift);
  check(counts.size() == key_digits, "count_keys: ", counts.size(), " counts, expected ", key_digits);
  kernels_of(values.device())
      .pruning.count_keys(values.device(), {.values = elements_of(values).as<const float>(),
                                            .pruned = elements_of(pruned).as<const float>(),
                                            .size = values.size(),
                                            .order = order,
                                            .prefix = prefix,
                                            .shift = shift,
                                            .counts = counts.data()});
}

void prune_below(const Tensor& values, const Tensor& pruned, KeyOrder order, std::uint32_t threshold,
                 std::uint64_t ties) {
  check_pair("prune_below", values, pruned);
  kernels_of(values.device())
      .pruning.below(values.device(), {.values = elements_of(values).as<const float>(),
                                       .pruned = elements_of(pruned).as<float>(),
                                       .size = values.size(),
                                       .order = order,
                                       .threshold = threshold,
                                       .ties = ties});
}

void prune_smallest(const Tensor& values, const Tensor& pruned, KeyOrder order, std::size_t of, std::size_t count) {
  constexpr std::string_view op = "prune_smallest";
  check_pair(op, values, pruned);
  check(of >= 1 && of <= 64 && count <= of && values.size() % of == 0, op, ": ", count, " of each ", of, " of ",
        values.size(), " elements");
  kernels_of(values.device())
      .pruning.smallest(values.device(), {.values = elements_of(values).as<const float>(),
                                          .pruned = elements_of(pruned).as<float>(),
                                          .order = order,
                                          .groups = values.size() / of,
                                          .of = of,
                                          .count = count});
}

void add_movement(float rate, const Tensor& weights, const Tensor& gradient, const Tensor& scores) {
  constexpr std::string_view op = "add_movement";
  check_dtype(op, "weights", weights, DType::float32);
  check_same(op, "gradient", gradient, weights);
  check_same(op, "scores", scores, weights);
  kernels_of(weights.device())
      .pruning.movement(weights.device(), {.weights = elements_of(weights).as<const float>(),
                                           .gradient = elements_of(gradient).as<const float>(),
                                           .scores = elements_of(scores).as<float>(),
                                           .size = weights.size(),
                                           .rate = rate});
}

void add_penalty(float l1, float l2, const Tensor& weights, const Tensor& gradient) {
  constexpr std::string_view op = "add_penalty";
  check_dtype(op, "weights", weights, DType::float32);
  check_same(op, "gradient", gradient, weights);
  kernels_of(weights.device())
      .pruning.penalty(weights.device(), {.weights = elements_of(weights).as<const float>(),
                                          .gradient = elements_of(gradient).as<float>(),
                                          .size = weights.size(),
                                          .l1 = l1,
                                          .l2 = l2});
}

}  // namespace tranche::ops
