// Cross-entropy over classes, in float32.
#pragma once

#include <cstdint>

#include "runtime/ops/destination.h"

namespace tranche::ops {

inline constexpr std::int32_t ignored_target = -100;  // PyTorch's ignore_index: the row does not count

// loss = mean over rows of (log sum exp(logits[row]) - logits[row][targets[row]]).
// logits: (rows, classes), targets: (rows) int32 in [0, classes), or ignored_target: the row does not count (all rows
// ignored: 0). Throws Exit::data on any other target, naming its row.  loss: (1) float32; log_sums: (rows) float32,
// which backward needs. Rows are summed in order.
void cross_entropy(const Tensor& logits, const Tensor& targets, const Tensor& loss, const Tensor& log_sums);

// dlogits = dloss * (softmax(logits) - onehot(targets)) / counted rows.  dloss: (1) float32; dlogits may be logits.
void cross_entropy_gradient(const Tensor& dloss, const Tensor& logits, const Tensor& targets, const Tensor& log_sums,
                            const Destination& dlogits);

}  // namespace tranche::ops
