// Softmax and cross-entropy of one row. Block is what computes a row together: sum, max, each.
#pragma once

#include "runtime/ops/functors/math.h"

namespace tranche::ops::functors {

// log sum exp(logits * factor), factor > 0; NaN where a logit is NaN or positive infinity, or all are negative
// infinity.
template <class Block, class T>
TRANCHE_FUNCTOR float log_sum_exp(const Block& block, std::size_t classes, const T* logits, float factor = 1) {
  const float largest =
      block.max(classes, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { return to_float(logits[i]) * factor; });
  return largest + log(block.sum(classes, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
           return exp(to_float(logits[i]) * factor - largest);
         }));
}

// How many targets are not ignored.
template <class Block>
TRANCHE_FUNCTOR std::size_t counted_rows(const Block& block, std::size_t rows, const std::int32_t* targets,
                                         std::int32_t ignored) {
  return block.sum(
      rows, [&](std::size_t row) TRANCHE_ALWAYS_INLINE { return static_cast<std::size_t>(targets[row] != ignored); });
}

// dlogits = factor (softmax(logits) - onehot(target)); dlogits may be logits.
template <bool adds, class Block, class T>
TRANCHE_FUNCTOR void cross_entropy_gradient_row(const Block& block, std::size_t classes, const T* logits,
                                                std::size_t target, float log_sum, float factor, T* dlogits) {
  const float at_target = factor * (exp(to_float(logits[target]) - log_sum) - 1.0f);
  const T held = dlogits[target];
  block.each(classes, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
    put<adds>(dlogits[i], factor * exp(to_float(logits[i]) - log_sum));
  });
  block.single([&]() TRANCHE_ALWAYS_INLINE {
    dlogits[target] = held;
    put<adds>(dlogits[target], at_target);
  });
}

}  // namespace tranche::ops::functors
