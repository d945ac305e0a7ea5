// Kernels with one mistake each, and the same kernels without it.
#pragma once

#include <cstddef>

#include "tests/cuda_emulation/emulated_cuda.h"

namespace tranche::cuda_emulation {

void copy(const float* from, float* to, std::size_t count, cudaStream_t stream = nullptr);
void copy_one_too_many(const float* from, float* to, std::size_t count);
void reverse_in_shared_memory(float* data, unsigned threads);
void reverse_without_barrier(float* data, unsigned threads);
void swap_in_warp(float* data, unsigned threads);
void swap_without_warp_barrier(float* data, unsigned threads);
void sum_into_one(float* sum, unsigned blocks);
void read_unwritten_shared_memory(float* to);
void write_past_shared_memory(float* to);
void leave_before_barrier(float* data, unsigned threads);
void wait_at_two_barriers(float* data, unsigned threads);
void shuffle_without_half(float* data, unsigned threads);
void shuffle_outside_mask(float* data);
void shuffle_with_two_masks(float* data);
void take_much_shared_memory(float* data);
void take_too_much_shared_memory(float* data);
void run_many_threads(float* data, unsigned threads);

}  // namespace tranche::cuda_emulation
