// What this machine can do at most: the denominators of every ratio that the benchmarks print. Best of several runs.
#pragma once

#include <functional>

#include "runtime/base/dtype.h"

namespace tranche::bench {

// The least of a few runs, seconds.
double seconds_of(const std::function<void()>& work);

// Bytes a second on buffers far larger than the caches. Copying and a += b count what is read and what is written.
double read_rate(int threads);
double copy_rate(int threads);
double add_rate(int threads);

// Operations a second of oneDNN's best product, float32 or bfloat16; 0 where it has none.
double gemm_rate(DType dtype, int threads);

}  // namespace tranche::bench
