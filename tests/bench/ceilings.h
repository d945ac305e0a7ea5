// What this machine can do at most: the denominators of every ratio that the benchmarks print. Best of several runs.
#pragma once

#include <functional>
#include <span>

#include "runtime/base/dtype.h"

namespace tranche::bench {

// The least of a few runs, seconds.
double seconds_of(const std::function<void()>& work);

// Bytes a second on buffers far larger than the caches. Copying and a += b count what is read and what is written.
double read_rate(int threads);
double copy_rate(int threads);
double add_rate(int threads);

// The same over memory that is there already: where pages lie moves these rates by half from one block of memory to the
// next on some machines, so a kernel that streams is compared with what its own operands allow. add: a becomes a + b.
double read_rate(std::span<const float> values, int threads);
double add_rate(std::span<float> a, std::span<const float> b, int threads);
// STREAM's triad, a = b + 3 c, over memory that is there; counts what is read and what is written.
double triad_rate(std::span<float> a, std::span<const float> b, std::span<const float> c, int threads);

// Operations a second of oneDNN's best product, float32 or bfloat16; 0 where it has none.
double gemm_rate(DType dtype, int threads);

}  // namespace tranche::bench
