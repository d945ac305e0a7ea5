#include "runtime/nn/attention.h"

#include "runtime/autograd/functions.h"
#include "runtime/nn/kv_cache.h"

namespace tranche {

Attention::Attention(const std::string& name, const AttentionConfig& config, const DropoutMode& mode)
    : config_(config),
      qkv_(name + ".qkv", config.width, (config.heads + 2 * config.groups) * config.head_width, config.bias,
           config.deviation, config.ranks),
      output_(name + ".output", config.heads * config.head_width, config.width, config.bias, config.output_deviation,
              config.ranks),
      dropout_(name + ".weights.dropout", config.dropout, mode) {}

Tensor Attention::forward(const Tensor& x) const {
  const ops::AttentionShape shape{.batch = x.shape()[0],
                                  .sequence = x.shape()[1],
                                  .heads = config_.heads,
                                  .groups = config_.groups,
                                  .head_width = config_.head_width,
                                  .scale = config_.scale};
  Tensor qkv = qkv_.forward(x);  // (batch, sequence, (heads + 2 groups) * head_width)
  if (config_.rotary_theta) qkv = autograd::rotary(qkv, shape, *config_.rotary_theta, KeyValueCache::held());
  if (KeyValueCache* cache = KeyValueCache::current()) return output_.forward(cache->attend(*this, qkv, shape));
  return output_.forward(autograd::attention(qkv, shape, dropout_.of_weights()));
}

void Attention::collect(std::vector<Parameter*>& into) {
  qkv_.collect(into);
  output_.collect(into);
}

}  // namespace tranche
