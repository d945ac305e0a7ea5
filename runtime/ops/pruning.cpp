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

void count_keys(const Tensor& values, const Tensor& pruned, std::uint32_t prefix, unsigned shift,
                std::span<std::uint64_t> counts) {
  check_pair("count_keys", values, pruned);
  check(shift <= 24 && shift % key_digit_bits == 0, "count_keys: a shift of ", shift);
  check(counts.size() == key_digits, "count_keys: ", counts.size(), " counts, expected ", key_digits);
  kernels_of(values.device())
      .pruning.count_keys(values.device(), {.values = elements_of(values).as<const float>(),
                                            .pruned = elements_of(pruned).as<const float>(),
                                            .size = values.size(),
                                            .prefix = prefix,
                                            .shift = shift,
                                            .counts = counts.data()});
}

void prune_below(const Tensor& values, const Tensor& pruned, std::uint32_t threshold, std::uint64_t ties) {
  check_pair("prune_below", values, pruned);
  kernels_of(values.device())
      .pruning.below(values.device(), {.values = elements_of(values).as<const float>(),
                                       .pruned = elements_of(pruned).as<float>(),
                                       .size = values.size(),
                                       .threshold = threshold,
                                       .ties = ties});
}

void prune_smallest(const Tensor& values, const Tensor& pruned, std::size_t of, std::size_t count) {
  constexpr std::string_view op = "prune_smallest";
  check_pair(op, values, pruned);
  check(of >= 1 && of <= 64 && count <= of && values.size() % of == 0, op, ": ", count, " of each ", of, " of ",
        values.size(), " elements");
  kernels_of(values.device())
      .pruning.smallest(values.device(), {.values = elements_of(values).as<const float>(),
                                          .pruned = elements_of(pruned).as<float>(),
                                          .groups = values.size() / of,
                                          .of = of,
                                          .count = count});
}

}  // namespace tranche::ops
