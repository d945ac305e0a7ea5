#include "runtime/ops/cpu/paths/paths.h"

namespace tranche::ops {

namespace plain { const Kernels& kernels(); }
namespace avx2 { const Kernels& kernels(); }
namespace avx512 { const Kernels& kernels(); }

InstructionPath detect_instruction_path() {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("x86-64-v3")) return InstructionPath::plain;
  if (!__builtin_cpu_supports("x86-64-v4")) return InstructionPath::avx2;
  return __builtin_cpu_supports("avx512bf16") ? InstructionPath::avx512_bf16 : InstructionPath::avx512;
}

// avx512_bf16 differs in what oneDNN may use, not in our own kernels.
const Kernels& cpu_kernels(InstructionPath path) {
  switch (path) {
    case InstructionPath::plain: return plain::kernels();
    case InstructionPath::avx2: return avx2::kernels();
    case InstructionPath::avx512:
    case InstructionPath::avx512_bf16: break;
  }
  return avx512::kernels();
}

}  // namespace tranche::ops
