#include "runtime/nn/kv_cache.h"

#include "runtime/autograd/functions.h"

namespace tranche {

thread_local KeyValueCache* KeyValueCache::current_ = nullptr;

Tensor KeyValueCache::attend(const Attention& attention, const Tensor& qkv, const ops::AttentionShape& shape) {
  check(Tape::current() == nullptr, "a key-value cache is for generating: nothing may be recorded");
  ops::KeysAndValues& kept = kept_[&attention];
  if (!kept.keys) {
    const Shape room{shape.groups, capacity_, shape.head_width};
    kept.keys = Tensor::empty(device_, "kept keys", Category::activations, room, DType::float32);
    kept.values = Tensor::empty(device_, "kept values", Category::activations, room, DType::float32);
  }
  ops::keep_keys_and_values(qkv, shape, tokens_, kept);
  if (tokens_ == 0) return autograd::attention(qkv, shape);  // in tiles: a prompt may be long
  const Tensor y = qkv.sibling("attention", {shape.batch, shape.sequence, shape.width()}, qkv.dtype());
  ops::attention_over_kept(qkv, shape, tokens_, kept, y);
  return y;
}

}  // namespace tranche
