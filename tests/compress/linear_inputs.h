// Weights of a linear and tokens that it multiplies: for tests of rounding by what is seen of inputs.
#pragma once

#include <vector>

#include "compress/packed_file.h"
#include "runtime/base/random.h"

namespace tranche::compress {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

inline double number(std::uint64_t stream, std::size_t i) {
  return 2 * double{uniform(RandomKey{5, Purpose::sampling}(stream).number(i))} - 1;
}
inline Floats weights_of(std::size_t count) {
  Floats weights(count);
  for (std::size_t i = 0; i < count; ++i) weights[i] = static_cast<float>(number(1, i));
  return weights;
}

// Tokens whose features go together, as activations do: (tokens, in).
inline Doubles inputs_of(std::size_t tokens, std::size_t in) {
  Doubles x(tokens * in);
  for (std::size_t token = 0; token < tokens; ++token)
    for (std::size_t i = 0; i < in; ++i)
      x[token * in + i] = number(2, token) * (1 + 0.5 * number(3, i)) + 0.3 * number(4, token * in + i);
  return x;
}
inline Doubles products_of(const Doubles& x, std::size_t in) {
  Doubles products(in * in);
  for (std::size_t token = 0; token < x.size(); token += in)
    for (std::size_t row = 0; row < in; ++row)
      for (std::size_t col = 0; col <= row; ++col) products[row * in + col] += x[token + row] * x[token + col];
  return products;
}

// The mean square of what the outputs of these tokens lose.
inline double loss_of(const PackedTensor& tensor, const Floats& weights, const Doubles& x) {
  const std::size_t out = tensor.shape.rows(), in = tensor.shape.cols(), groups = tensor.grid().groups();
  double sum = 0;
  for (std::size_t token = 0; token < x.size(); token += in)
    for (std::size_t row = 0; row < out; ++row) {
      double lost = 0;
      for (std::size_t col = 0; col < in; ++col)
        lost += x[token + col] * (double{weights[row * in + col]} -
                                  tensor.level(row, col) * double{tensor.scales[row * groups + col / tensor.group]});
      sum += lost * lost;
    }
  const std::size_t tokens = x.size() / in;
  return sum / static_cast<double>(tokens * out);
}

}  // namespace tranche::compress
