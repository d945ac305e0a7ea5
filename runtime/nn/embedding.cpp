#include "runtime/nn/embedding.h"

#include "runtime/autograd/functions.h"
#include "runtime/ops/embedding.h"

namespace tranche {

Embedding::Embedding(const std::string& name, std::size_t rows, std::size_t width, double deviation)
    : weight_{name + ".weight", {rows, width}, Initial::normal(static_cast<float>(deviation))} {}

Tensor Embedding::forward(const Tensor& numbers) const { return autograd::embedding(numbers, weight_.tensor()); }

Tensor Embedding::project(const Tensor& x) const { return autograd::linear(x, weight_.tensor()); }

Tensor position_numbers(const Tensor& tokens) {
  Tensor numbers = tokens.sibling("positions", tokens.shape(), DType::int32);
  ops::positions(numbers);
  return numbers;
}

}  // namespace tranche
