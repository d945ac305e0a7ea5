// A row's Block on a GPU (runtime/ops/functors/norm.h and loss.h): the threads of a thread block. Thread t takes the
// elements t, t + threads, ...; sums go over a warp's lanes in a butterfly, then over the warps in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "runtime/ops/cuda/language.cuh"
#include "runtime/ops/functors/functor.h"

namespace tranche::ops::cuda {

inline constexpr unsigned warp_size = 32, all_lanes = 0xFFFFFFFFu, most_warps = 32;

struct Sum {
  template <class T> __device__ T operator()(T a, T b) const { return a + b; }
};
struct Largest {  // b where a is NaN
  __device__ float operator()(float a, float b) const { return a > b ? a : b; }
};
struct Smallest {
  template <class T> __device__ T operator()(T a, T b) const { return a < b ? a : b; }
};

// The lanes' values combined into one, which every lane receives. All lanes of the warp call it.
template <class Number, class Combine> __device__ Number combined_in_warp(Number mine, Combine combine) {
  for (unsigned by = warp_size / 2; by != 0; by /= 2)
    mine = combine(mine, __shfl_xor_sync(all_lanes, mine, static_cast<int>(by)));
  return mine;
}

// The threads' values combined into one, which every thread receives. All threads of the block call it.
template <class Number, class Combine> __device__ Number combined(Number mine, Combine combine) {
  mine = combined_in_warp(mine, combine);
  TRANCHE_SHARED(Number, part, most_warps);
  __syncthreads();  // after what the call before reads
  if (threadIdx.x % warp_size == 0) part[threadIdx.x / warp_size] = mine;
  __syncthreads();
  Number all = part[0];
  for (unsigned warp = 1; warp < blockDim.x / warp_size; ++warp) all = combine(all, part[warp]);
  return all;
}

struct Block {
  // The sum of f(i) for i < n, in the type of f.
  template <class F> __device__ auto sum(std::size_t n, const F& f) const {
    using Number = decltype(f(std::size_t{0}));
    Number mine = 0;
    for (std::size_t i = threadIdx.x; i < n; i += blockDim.x) mine += f(i);
    return combined(mine, Sum{});
  }

  // The largest f(i) that is a number; -infinity if there is none.
  template <class F> __device__ float max(std::size_t n, const F& f) const {
    float mine = -std::numeric_limits<float>::infinity();
    for (std::size_t i = threadIdx.x; i < n; i += blockDim.x) mine = Largest{}(f(i), mine);
    return combined(mine, Largest{});
  }

  // f(i) for i < n, after what came before. f(i) touches element i alone.
  template <class F> __device__ void each(std::size_t n, const F& f) const {
    __syncthreads();
    for (std::size_t i = threadIdx.x; i < n; i += blockDim.x) f(i);
  }

  // f() once, after what came before.
  template <class F> __device__ void single(const F& f) const {
    __syncthreads();
    if (threadIdx.x == 0) f();
  }
};

}  // namespace tranche::ops::cuda
