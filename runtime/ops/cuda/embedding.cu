#include "runtime/ops/cuda/first.cuh"
#include "runtime/ops/cuda/table.h"

namespace tranche::ops::cuda {

struct IsOutside {
  FirstOutside a;
  __device__ bool operator()(std::size_t i) const {
    const bool inside = a.indices[i] >= 0 && static_cast<std::size_t>(a.indices[i]) < a.limit;
    return !inside && a.indices[i] != a.also;
  }
};
std::size_t first_outside(Device& device, const FirstOutside& a) { return first_where(device, a.count, IsOutside{a}); }

template <class T> struct CopyRow {
  EmbeddingForward a;
  __device__ void operator()(const Block& block, std::size_t i) const {
    const T* row = a.table.as<const T>() + static_cast<std::size_t>(a.tokens[i]) * a.width;
    T* y = a.y.as<T>() + i * a.width;
    block.each(a.width, [&](std::size_t c) { y[c] = row[c]; });
  }
};
void embedding(Device& device, const EmbeddingForward& a) {
  with_type(a.table.dtype, [&](auto type) { over_rows(device, a.count, a.width, CopyRow<decltype(type)>{a}); });
}

struct NumberElement {
  Positions a;
  __device__ void operator()(std::size_t i) const {
    a.numbers[i] = static_cast<std::int32_t>(a.first + i % a.sequence);
  }
};
void positions(Device& device, const Positions& a) { over_elements(device, a.rows * a.sequence, NumberElement{a}); }

template <class T> struct ZeroElement {
  T* x;
  __device__ void operator()(std::size_t i) const { x[i] = from_float<T>(0.0f); }
};

// The block of a token's first place sums the rows of all its places, in rising order; the others leave at once. Each
// round looks at as many places as there are threads, and a vote of each warp says which hold the token.
template <bool adds, class T> struct SumPlaces {
  EmbeddingGradient a;
  __device__ void operator()(const Block& block, std::size_t first) const {
    const std::int32_t token = a.tokens[first];
    const auto is_token = [&](std::size_t i) { return a.tokens[i] == token ? 1.0f : 0.0f; };
    if (block.max(first, is_token) > 0) return;
    TRANCHE_SHARED(unsigned, votes, most_warps);
    const T* dy = a.dy.as<const T>();
    for (std::size_t begin = 0; begin < a.width; begin += blockDim.x) {
      const std::size_t column = begin + threadIdx.x;
      float sum = 0;
      for (std::size_t from = first; from < a.count; from += blockDim.x) {
        const std::size_t place = from + threadIdx.x;
        const unsigned vote = __ballot_sync(all_lanes, place < a.count && a.tokens[place] == token);
        __syncthreads();  // after the round before
        if (threadIdx.x % warp_size == 0) votes[threadIdx.x / warp_size] = vote;
        __syncthreads();
        for (unsigned warp = 0; warp < blockDim.x / warp_size; ++warp) {
          for (unsigned left = votes[warp]; left != 0; left &= left - 1) {
            const std::size_t row = from + warp * warp_size + static_cast<unsigned>(std::countr_zero(left));
            if (column < a.width) sum += to_float(dy[row * a.width + column]);
          }
        }
      }
      if (column < a.width)
        functors::put<adds>(a.dtable.as<T>()[static_cast<std::size_t>(token) * a.width + column], sum);
    }
  }
};
void embedding_gradient(Device& device, const EmbeddingGradient& a) {
  with_target(a.dtable, [&](auto type, auto mode) {
    using T = decltype(type);
    if (!decltype(mode)::adds) over_elements(device, a.vocabulary * a.width, ZeroElement<T>{a.dtable.as<T>()});
    over_rows(device, a.count, a.width, SumPlaces<decltype(mode)::adds, T>{a});
  });
}

EmbeddingKernels embedding_kernels() {
  return {.first_outside = first_outside, .forward = embedding, .positions = positions, .gradient = embedding_gradient};
}

}  // namespace tranche::ops::cuda
