#include "runtime/nn/embedding.h"

#include <numeric>

#include "runtime/autograd/functions.h"

namespace tranche {

Embedding::Embedding(const std::string& name, std::size_t rows, std::size_t width, double deviation)
    : weight_{name + ".weight", {rows, width}, Initial::normal(static_cast<float>(deviation))} {}

Tensor Embedding::forward(const Tensor& numbers) const { return autograd::embedding(numbers, weight_.tensor()); }

Tensor Embedding::project(const Tensor& x) const { return autograd::linear(x, weight_.tensor()); }

Tensor position_numbers(const Tensor& tokens) {
  Tensor numbers = tokens.sibling("positions", tokens.shape(), DType::int32);
  const std::span<std::int32_t> all = numbers.span<std::int32_t>();
  const std::size_t sequence = tokens.cols();
  for (std::size_t row = 0; row < tokens.rows(); ++row)
    std::iota(all.begin() + static_cast<std::ptrdiff_t>(row * sequence),
              all.begin() + static_cast<std::ptrdiff_t>((row + 1) * sequence), 0);
  return numbers;
}

}  // namespace tranche
