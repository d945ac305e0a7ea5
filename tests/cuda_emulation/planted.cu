#include "tests/cuda_emulation/planted.h"

#include "runtime/ops/cuda/language.cuh"

namespace tranche::cuda_emulation {

template <bool right> __global__ void copy_kernel(const float* from, float* to, std::size_t count) {
  const std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (right ? i < count : i <= count) to[i] = from[i];
}
unsigned blocks_of(std::size_t count) { return static_cast<unsigned>(count / 64 + 1); }
void copy(const float* from, float* to, std::size_t count, cudaStream_t stream) {
  TRANCHE_LAUNCH(copy_kernel<true>, blocks_of(count), 64, stream, from, to, count);
}
void copy_one_too_many(const float* from, float* to, std::size_t count) {
  TRANCHE_LAUNCH(copy_kernel<false>, blocks_of(count), 64, nullptr, from, to, count);
}

template <bool right> __global__ void reverse_kernel(float* data) {
  TRANCHE_SHARED(float, tile, 256);
  tile[threadIdx.x] = data[threadIdx.x];
  if constexpr (right) __syncthreads();
  data[threadIdx.x] = tile[blockDim.x - 1 - threadIdx.x];
}
void reverse_in_shared_memory(float* data, unsigned threads) {
  TRANCHE_LAUNCH(reverse_kernel<true>, 1, threads, nullptr, data);
}
void reverse_without_barrier(float* data, unsigned threads) {
  TRANCHE_LAUNCH(reverse_kernel<false>, 1, threads, nullptr, data);
}

template <bool right> __global__ void swap_kernel(float* data) {
  TRANCHE_SHARED(float, tile, 256);
  tile[threadIdx.x] = data[threadIdx.x];
  if constexpr (right) __syncwarp();
  data[threadIdx.x] = tile[threadIdx.x ^ 1u];
}
void swap_in_warp(float* data, unsigned threads) { TRANCHE_LAUNCH(swap_kernel<true>, 1, threads, nullptr, data); }
void swap_without_warp_barrier(float* data, unsigned threads) {
  TRANCHE_LAUNCH(swap_kernel<false>, 1, threads, nullptr, data);
}

__global__ void sum_kernel(float* sum) {
  if (threadIdx.x == 0) *sum += 1;
}
void sum_into_one(float* sum, unsigned blocks) { TRANCHE_LAUNCH(sum_kernel, blocks, 32, nullptr, sum); }

__global__ void unwritten_kernel(float* to) {
  TRANCHE_SHARED(float, tile, 64);
  if (threadIdx.x != 7) tile[threadIdx.x] = 1;
  __syncthreads();
  to[threadIdx.x] = tile[threadIdx.x];
}
void read_unwritten_shared_memory(float* to) { TRANCHE_LAUNCH(unwritten_kernel, 1, 32, nullptr, to); }

__global__ void past_kernel(float* to) {
  TRANCHE_SHARED(float, tile, 32);
  tile[threadIdx.x] = to[threadIdx.x];
}
void write_past_shared_memory(float* to) { TRANCHE_LAUNCH(past_kernel, 1, 64, nullptr, to); }

__global__ void leaving_kernel(float* data) {
  if (threadIdx.x == 5) return;
  __syncthreads();
  data[threadIdx.x] = 1;
}
void leave_before_barrier(float* data, unsigned threads) { TRANCHE_LAUNCH(leaving_kernel, 1, threads, nullptr, data); }

__global__ void two_barriers_kernel(float* data) {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
  data[threadIdx.x] = 1;
}
void wait_at_two_barriers(float* data, unsigned threads) {
  TRANCHE_LAUNCH(two_barriers_kernel, 1, threads, nullptr, data);
}

__global__ void half_kernel(float* data) {
  if (threadIdx.x < 16) data[threadIdx.x] = __shfl_xor_sync(0xFFFFFFFFu, data[threadIdx.x], 1);
}
void shuffle_without_half(float* data, unsigned threads) { TRANCHE_LAUNCH(half_kernel, 1, threads, nullptr, data); }

__global__ void outside_kernel(float* data) { data[threadIdx.x] = __shfl_sync(0x0000FFFFu, data[threadIdx.x], 0); }
void shuffle_outside_mask(float* data) { TRANCHE_LAUNCH(outside_kernel, 1, 32, nullptr, data); }

__global__ void masks_kernel(float* data) {
  const unsigned mask = threadIdx.x < 16 ? 0xFFFFFFFFu : 0xFFFF0000u;
  data[threadIdx.x] = __shfl_xor_sync(mask, data[threadIdx.x], 1);
}
void shuffle_with_two_masks(float* data) { TRANCHE_LAUNCH(masks_kernel, 1, 32, nullptr, data); }

template <int count> __global__ void much_kernel(float* data) {
  TRANCHE_SHARED(float, tile, count);
  tile[threadIdx.x] = 1;
  data[threadIdx.x] = tile[threadIdx.x];
}
void take_much_shared_memory(float* data) { TRANCHE_LAUNCH(much_kernel<12 * 1024>, 1, 32, nullptr, data); }
void take_too_much_shared_memory(float* data) { TRANCHE_LAUNCH(much_kernel<12 * 1024 + 1>, 1, 32, nullptr, data); }

__global__ void one_kernel(float* data) { data[threadIdx.x] = 1; }
void run_many_threads(float* data, unsigned threads) { TRANCHE_LAUNCH(one_kernel, 1, threads, nullptr, data); }

}  // namespace tranche::cuda_emulation
