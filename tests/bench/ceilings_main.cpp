// Prints what this machine can do at most. Usage: ceilings [--gemm] [threads]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/bench/ceilings.h"

int main(int argc, char** argv) {
  using namespace tranche;
  const bool gemm_alone = argc > 1 && std::strcmp(argv[1], "--gemm") == 0;
  const int at = gemm_alone ? 2 : 1, threads = argc > at ? std::max(1, std::atoi(argv[at])) : 2;
  if (!gemm_alone)
    std::printf("read %.1f GB/s, copy %.1f GB/s, a += b %.1f GB/s; billions of operations a second of products:\n",
                bench::read_rate(threads) / 1e9, bench::copy_rate(threads) / 1e9, bench::add_rate(threads) / 1e9);
  for (const auto& [name, dtype] : {std::pair{"float32", DType::float32}, {"bfloat16", DType::bfloat16}})
    std::printf("%s %.1f\n", name, bench::gemm_rate(dtype, threads) / 1e9);
}
