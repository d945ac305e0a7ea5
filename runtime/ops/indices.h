// Tokens and classes that index a table: looked at before the kernel, which trusts them.
#pragma once

#include <cstdint>

#include "runtime/ops/arguments.h"
#include "runtime/ops/kernels.h"

namespace tranche::ops {

// Every element of `indices` (int32) is in [0, limit) or is `also`; else an error names the first that is not.
inline void check_indices(std::string_view op, std::string_view what, const Tensor& indices, std::size_t limit,
                          std::int32_t also) {
  const std::size_t first =
      kernels_of(indices.device())
          .embedding.first_outside(indices.device(), {.indices = elements_of(indices).as<const std::int32_t>(),
                                                      .count = indices.size(),
                                                      .limit = limit,
                                                      .also = also});
  if (first == indices.size()) return;
  const bool also_outside = also < 0 || static_cast<std::size_t>(also) >= limit;
  fail(Exit::data, str(op, ": ", what, " ", first, " is ", indices.view(first, {1}).scalar<std::int32_t>(),
                       ", expected 0 to ", limit - 1, also_outside ? str(" or ", also) : ""));
}

// What is asked of a table that is not stored as numbers. numbers: (count) int32, each of a row; y: (count, width)
// float32
inline void check_rows(std::string_view op, const Tensor& numbers, std::size_t rows, std::size_t width,
                       const Tensor& y) {
  check_dtype(op, "numbers", numbers, DType::int32);
  check_dtype(op, "output", y, DType::float32);
  check_matrix(op, "output", y, numbers.size(), width);
  check_indices(op, "number", numbers, rows, 0);
}

}  // namespace tranche::ops
