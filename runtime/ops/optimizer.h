// Optimizer updates of owned float32 elements, one pass each. All tensors have one size; `working` (may be none) is the
// half-precision copy and receives the rounded result. Sums are made in memory of the host alone, of a size that is a
// multiple of `block`.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/ops/reduce.h"
#include "runtime/tensor/tensor.h"

namespace tranche::ops {

// Where an update writes sums of the memory that it passes (word_sum), for every `run` elements and the rest; one array
// for each kind of state: the weights, then the optimizer's numbers in the order of the arguments.
struct PassedSums {
  static constexpr std::size_t most_kinds = 3;

  std::size_t run = 0;                    // elements, a multiple of `block`; 0: nothing is summed
  std::uint64_t* found[most_kinds] = {};  // as the update found it
  std::uint64_t* left[most_kinds] = {};   // as it left it
  std::uint64_t* working = nullptr;       // the rounded copy, as it was left
};
// Such a sum of bytes that are there at once; their number is a multiple of 64. A change within one word of 32 bits
// always changes it.
std::uint64_t word_sum(std::span<const std::byte> bytes);

// Kingma, Ba 2015; decoupled decay as in Loshchilov, Hutter 2019 (AdamW), else decay is added to the gradient (L2).
struct AdamStep {
  float rate = 0, beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f, weight_decay = 0;
  float correction1 = 1, correction2 = 1;  // 1 - beta^updates; 1 where bias correction is off
  bool decoupled = true;
};
// mean = beta1 mean + (1 - beta1) g; square = beta2 square + (1 - beta2) g^2;
// w = w (1 - rate decay) - rate (mean / correction1) / (sqrt(square / correction2) + epsilon)
// 1 - beta1, 1 - beta2, 1 - rate decay, rate / correction1 and 1 / correction2 are each one float, rounded from double.
void adam(const AdamStep& step, const Tensor& weights, const Tensor& mean, const Tensor& square, const Tensor& gradient,
          const Tensor& working, const PassedSums& sums = {});

// As torch.optim.SGD: g += decay w; buffer = momentum buffer + (1 - dampening) g (g itself at the first update);
// g = nesterov ? g + momentum buffer : buffer; w -= rate g. `buffer` may be none when momentum is 0.
struct SgdStep {
  float rate = 0, momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false, first = false;
};
void sgd(const SgdStep& step, const Tensor& weights, const Tensor& buffer, const Tensor& gradient,
         const Tensor& working, const PassedSums& sums = {});

}  // namespace tranche::ops
