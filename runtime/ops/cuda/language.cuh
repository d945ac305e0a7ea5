// What kernel sources are written in: CUDA, and the two constructs that no other compiler reads as macros, so that g++
// compiles the same sources for the emulator (tests/cuda_emulation). Kernels keep to what both know: no float atomics,
// no library of device code, no device globals, no anonymous namespaces (a kernel is found by its name).
#pragma once

#if defined(__CUDACC__)
#include <cuda_runtime.h>

// Before a loop of known length over what should be registers.
#define TRANCHE_UNROLL _Pragma("unroll")
// a b + c, rounded once.
#define TRANCHE_FUSED(a, b, c) __fmaf_rn(a, b, c)
// `count` elements that the threads of a block share, under `name`.
#define TRANCHE_SHARED(T, name, count) __shared__ T name[count]
#define TRANCHE_LAUNCH(kernel, grid, block, stream, ...) kernel<<<grid, block, 0, stream>>>(__VA_ARGS__)
#else
#include <emulated_cuda.h>
#endif
