#include "runtime/nn/embedding.h"

#include "runtime/nn/kv_cache.h"
#include "runtime/ops/embedding.h"

namespace tranche {

Embedding::Embedding(const std::string& name, const Features& rows, std::size_t width, double deviation)
    : weight_{name + ".weight",
              {rows.count, width},
              Initial::normal(static_cast<float>(deviation)),
              {rows, stream_of(width)}} {}

Tensor Embedding::forward(const Tensor& numbers) const { return weight_.rows(numbers); }

Tensor Embedding::project(const Tensor& x) const { return weight_.multiplied(x); }

Tensor position_numbers(const Tensor& tokens) {
  Tensor numbers = tokens.sibling("positions", tokens.shape(), DType::int32);
  ops::positions(numbers, KeyValueCache::held());
  return numbers;
}

}  // namespace tranche
