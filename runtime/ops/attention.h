// Causal self-attention and rotary positions over a fused projection.
#pragma once

#include <cstddef>

#include "runtime/base/random.h"
#include "runtime/ops/destination.h"

namespace tranche::ops {

// qkv: (batch * sequence, (heads + 2 * groups) * head_width). A row holds all queries, then all keys, then all values;
// query head h uses key and value group h / (heads / groups) (Ainslie et al. 2023; groups == heads is plain attention).
struct AttentionShape {
  std::size_t batch = 0, sequence = 0, heads = 0, groups = 0, head_width = 0;
  float scale = 1;  // of q . k, usually 1 / sqrt(head_width)

  TRANCHE_HOST_DEVICE std::size_t qkv_width() const { return (heads + 2 * groups) * head_width; }
  TRANCHE_HOST_DEVICE std::size_t width() const { return heads * head_width; }
};

// Dropout of attention weights: element (batch b, head h, query i, key j) is element
// ((b * heads + h) * sequence + i) * sequence + j of the key's stream, kept if uniform >= probability.
struct AttentionDropout {
  float probability = 0;
  RandomKey key{};
};

// y = softmax(scale * q k^T, causal) v.  y: (batch * sequence, heads * head_width);
// log_sums: (batch, heads, sequence) float32, receives each row's log-sum-exp, which backward needs.
// Softmax, its sums and all products are float32. No sequence x sequence buffer is made: a thread needs 2 x sequence x
// head_width float32 (4 in the gradient) beside a few tiles, kept for its next call (runtime/ops/cpu/scratch.h).
void attention(const Tensor& qkv, const AttentionShape& shape, const AttentionDropout& dropout, const Tensor& y,
               const Tensor& log_sums);
// Gradients of a group's keys and values are summed over its query heads in head order.  dqkv: as qkv
void attention_gradient(const Tensor& dy, const Tensor& qkv, const Tensor& y, const Tensor& log_sums,
                        const AttentionShape& shape, const AttentionDropout& dropout, const Destination& dqkv);

// Su et al. 2021, in the halves convention of Llama: columns (c, c + head_width / 2) of each query and key head are
// turned by position * theta^(-2 c / head_width); values are copied. Positions run first .. first + sequence - 1.  y
// may be qkv.
void rotary(const Tensor& qkv, const AttentionShape& shape, float theta, const Tensor& y, std::size_t first = 0);
// The turn back.  dqkv may be dy (then it must not hold values).
void rotary_gradient(const Tensor& dy, const AttentionShape& shape, float theta, const Destination& dqkv);

// Keys and values of a text that grows at its end.  keys, values: (groups, capacity, head_width) float32
struct KeysAndValues {
  Tensor keys, values;
  std::size_t capacity() const { return keys.shape()[1]; }
};
// Stores the keys and values of qkv's tokens as those at past .. past + sequence - 1. One text: shape.batch is 1.
void keep_keys_and_values(const Tensor& qkv, const AttentionShape& shape, std::size_t past, const KeysAndValues& into);
// y = softmax(scale * q k^T) v of qkv's queries, which stand at past .. past + sequence - 1, each over all kept keys up
// to its own.  y: (sequence, heads * head_width), of qkv's dtype
void attention_over_kept(const Tensor& qkv, const AttentionShape& shape, std::size_t past, const KeysAndValues& kept,
                         const Tensor& y);

}  // namespace tranche::ops
