#include <oneapi/dnnl/dnnl.hpp>

#include "runtime/base/error.h"
#include "runtime/ops/cpu/paths/paths.h"

namespace tranche::ops {

namespace plain {
const Kernels& kernels();
}
namespace avx2 {
const Kernels& kernels();
}
namespace avx512 {
const Kernels& kernels();
}
namespace avx512_vnni {
PackedKernels packed_kernels();
}
namespace avx512_vpopcntdq {
SignKernels sign_kernels();
}

namespace {

dnnl::cpu_isa isa_of(InstructionPath path) {
  switch (path) {
    case InstructionPath::plain: return dnnl::cpu_isa::sse41;
    case InstructionPath::avx2: return dnnl::cpu_isa::avx2;
    case InstructionPath::avx512: return dnnl::cpu_isa::avx512_core;
    case InstructionPath::avx512_vnni: return dnnl::cpu_isa::avx512_core_vnni;
    case InstructionPath::avx512_bf16: break;
  }
  return dnnl::cpu_isa::avx512_core_bf16;
}

}  // namespace

InstructionPath highest_instruction_path() {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("x86-64-v3")) return InstructionPath::plain;
  if (!__builtin_cpu_supports("x86-64-v4")) return InstructionPath::avx2;
  if (!__builtin_cpu_supports("avx512vnni")) return InstructionPath::avx512;
  return __builtin_cpu_supports("avx512bf16") ? InstructionPath::avx512_bf16 : InstructionPath::avx512_vnni;
}

// Intel's processors run a bfloat16 dot product at a quarter of the rate of a float32 multiply-add of the same width:
// 84 against 160 Gop/s, where AMD's (Zen 5) do 400 against 200. There float32 after widening is quicker, and more
// exact.
InstructionPath quickest_instruction_path() {
  const InstructionPath highest = highest_instruction_path();
  return highest == InstructionPath::avx512_bf16 && __builtin_cpu_is("intel") ? InstructionPath::avx512_vnni : highest;
}

const Kernels& vnni_kernels() {
  static const Kernels table = [] {
    Kernels kernels = avx512::kernels();
    kernels.packed = avx512_vnni::packed_kernels();
    if (__builtin_cpu_supports("avx512vpopcntdq")) kernels.signs = avx512_vpopcntdq::sign_kernels();
    return kernels;
  }();
  return table;
}

// avx512_bf16 differs from the path before it in what oneDNN may use, not in our own kernels.
const Kernels& cpu_kernels(InstructionPath path) {
  switch (path) {
    case InstructionPath::plain: return plain::kernels();
    case InstructionPath::avx2: return avx2::kernels();
    case InstructionPath::avx512: return avx512::kernels();
    case InstructionPath::avx512_vnni:
    case InstructionPath::avx512_bf16: break;
  }
  return vnni_kernels();
}

void limit_library(InstructionPath path) {
  check(dnnl::set_max_cpu_isa(isa_of(path)) == dnnl::status::success, "oneDNN refuses the limit ", name_of(path));
}

}  // namespace tranche::ops
