#include "runtime/nn/attention.h"

#include "runtime/autograd/functions.h"
#include "runtime/nn/kv_cache.h"
#include "runtime/nn/tap.h"

namespace tranche {

namespace {

// With what is left of the heads.
AttentionConfig of_name(AttentionConfig config, const std::string& heads) {
  const std::size_t shared_by = config.heads / config.groups;
  config.groups = left_of(config.left, heads, config.groups);
  config.heads = shared_by * config.groups;
  return config;
}

}  // namespace

Attention::Attention(const std::string& name, const AttentionConfig& config, const DropoutMode& mode)
    : name_(name),
      config_(of_name(config, name + ".heads")),
      qkv_(name + ".qkv", stream_of(config.width), queries_keys_values(name), config.bias, config.deviation,
           config.ranks),
      output_(name + ".output", queries(name), stream_of(config.width), config.bias, config.output_deviation,
              config.ranks),
      dropout_(name + ".weights.dropout", config.dropout, mode) {}

Features Attention::queries(const std::string& name) const {
  const std::size_t each = config_.heads / config_.groups * config_.head_width;
  return {FeatureKind::heads, name + ".heads", config_.groups, {{0, each}}};
}

Features Attention::queries_keys_values(const std::string& name) const {
  Features all = queries(name);
  const std::size_t each = config_.head_width, keys = config_.heads * each, values = keys + config_.groups * each;
  all.strips.insert(all.strips.end(), {{keys, each}, {values, each}});
  return all;
}

Tensor Attention::forward(const Tensor& x) const {
  const ops::AttentionShape shape{.batch = x.shape()[0],
                                  .sequence = x.shape()[1],
                                  .heads = config_.heads,
                                  .groups = config_.groups,
                                  .head_width = config_.head_width,
                                  .scale = config_.scale};
  Tensor qkv = qkv_.forward(x);  // (batch, sequence, (heads + 2 groups) * head_width)
  if (config_.rotary_theta) qkv = autograd::rotary(qkv, shape, *config_.rotary_theta, KeyValueCache::held());
  InnerTaps::offer(name_ + ".qkv", qkv);
  if (KeyValueCache* cache = KeyValueCache::current()) return output_.forward(cache->attend(*this, qkv, shape));
  return output_.forward(autograd::attention(qkv, shape, dropout_.of_weights()));
}

void Attention::collect(std::vector<Parameter*>& into) {
  qkv_.collect(into);
  output_.collect(into);
}

}  // namespace tranche
