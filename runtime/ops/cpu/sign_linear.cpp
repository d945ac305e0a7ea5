#include "runtime/ops/kernels/sign_linear.h"
#include "runtime/ops/cpu/tiles.h"
#include "runtime/ops/functors/sign_linear.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

constexpr std::size_t rows_together = 4;  // of x that read a weight's row together
constexpr std::size_t outputs_in_tile = 16;

void take(Device& device, const TakeSigns& a) {
  const std::size_t cols = a.signs.cols, words = sign_words(cols);
  over_rows(device, a.signs.rows, cols, [&](std::size_t row) {
    const float* x = a.x + row * cols;
    std::uint64_t* bits = a.signs.bits + row * words;
    for (std::size_t word = 0; word < words; ++word) {
      const std::size_t first = word * signs_in_word, left = cols - first;
      bits[word] = functors::word_of_signs(x + first, left < signs_in_word ? left : signs_in_word);
    }
    a.signs.scales[row] = functors::scale_of_signs(Block{}, a.scale, x, cols);
  });
}

// The compiler makes what the path has of the loop over words: counts of vectors, or of words.
void product(Device& device, const SignProduct& a) {
  const std::size_t words = sign_words(a.x.cols), outputs = a.weight.rows;
  in_pieces(device, outputs, outputs_in_tile, [&](std::size_t first, std::size_t count) {
    for (std::size_t begin = 0; begin < a.x.rows; begin += rows_together) {
      const std::size_t left = a.x.rows - begin, end = begin + (left < rows_together ? left : rows_together);
      for (std::size_t out = first; out < first + count; ++out)
        for (std::size_t row = begin; row < end; ++row) {
          const std::uint64_t *w = a.weight.bits + out * words, *x = a.x.bits + row * words;
          std::uint64_t differing = 0;
          for (std::size_t k = 0; k < words; ++k)
            differing += static_cast<std::uint64_t>(__builtin_popcountll(w[k] ^ x[k]));
          a.y[row * outputs + out] = functors::product_of_signs(
              a.x.cols, differing, a.x.scales[row], a.weight.scales[out], a.bias != nullptr ? a.bias[out] : 0.0f);
        }
    }
  });
}

}  // namespace

SignKernels sign_kernels();
SignKernels sign_kernels() { return {.take = take, .product = product}; }

}  // namespace tranche::ops::TRANCHE_PATH
