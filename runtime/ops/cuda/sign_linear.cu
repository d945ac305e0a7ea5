// Products of signs: exact counts, and one element's own arithmetic as on the CPU.
#include "runtime/ops/functors/sign_linear.h"

#include <bit>

#include "runtime/ops/cuda/launch.cuh"
#include "runtime/ops/cuda/table.h"

namespace tranche::ops::cuda {

struct TakeRow {
  TakeSigns a;
  __device__ void operator()(const Block& block, std::size_t row) const {
    const std::size_t cols = a.signs.cols, words = sign_words(cols);
    const float* x = a.x + row * cols;
    block.each(words, [&](std::size_t word) {
      const std::size_t first = word * signs_in_word, left = cols - first;
      a.signs.bits[row * words + word] =
          functors::word_of_signs(x + first, left < signs_in_word ? left : signs_in_word);
    });
    const float scale = functors::scale_of_signs(block, a.scale, x, cols);
    block.single([&] { a.signs.scales[row] = scale; });
  }
};
void take(Device& device, const TakeSigns& a) { over_rows(device, a.signs.rows, a.signs.cols, TakeRow{a}); }

struct SignOutput {
  SignProduct a;
  __device__ void operator()(std::size_t i) const {
    const std::size_t row = i / a.weight.rows, out = i % a.weight.rows, words = sign_words(a.x.cols);
    const std::uint64_t *x = a.x.bits + row * words, *w = a.weight.bits + out * words;
    std::uint64_t differing = 0;
    for (std::size_t k = 0; k < words; ++k) differing += static_cast<unsigned>(std::popcount(x[k] ^ w[k]));
    a.y[i] = functors::product_of_signs(a.x.cols, differing, a.x.scales[row], a.weight.scales[out],
                                        a.bias != nullptr ? a.bias[out] : 0.0f);
  }
};
void product(Device& device, const SignProduct& a) { over_elements(device, a.x.rows * a.weight.rows, SignOutput{a}); }

SignKernels sign_kernels() { return {.take = take, .product = product}; }

}  // namespace tranche::ops::cuda
