#include "runtime/ops/cpu/gemm.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <oneapi/dnnl/dnnl.hpp>

#include "runtime/base/error.h"
#include "runtime/ops/cpu/paths/paths.h"
#include "runtime/ops/cpu/scratch.h"

namespace tranche::ops {
namespace {

// oneDNN takes a limit on its instructions only before its first kernel, so the path can no longer change after that.
void limit_instructions() {
  static const InstructionPath limit = [] {
    const InstructionPath path = instruction_path();
    limit_library(path);
    return path;
  }();
  check(instruction_path() == limit, "the instruction path was changed to ", name_of(instruction_path()),
        " after the first matrix product on ", name_of(limit));
}

// The number of OpenMP threads is a setting of each calling thread.
void prepare_thread() {
  limit_instructions();
  thread_local const bool alone = [] {
    ::omp_set_num_threads(1);
    return true;
  }();
  static_cast<void>(alone);
}

dnnl_dim_t dim(std::size_t size) { return static_cast<dnnl_dim_t>(size); }

void clear(const Product& p) {
  for (std::size_t row = 0; row < p.m; ++row) std::fill_n(p.c + row * p.stride, p.n, 0.0f);
}

const dnnl::engine& engine() {
  static const dnnl::engine cpu{dnnl::engine::kind::cpu, 0};
  return cpu;
}

dnnl::memory::desc matrix(std::size_t rows, std::size_t cols, std::size_t stride, bool transposed,
                          dnnl::memory::data_type type) {
  const dnnl::memory::dims strides =
      transposed ? dnnl::memory::dims{1, dim(stride)} : dnnl::memory::dims{dim(stride), 1};
  return {{dim(rows), dim(cols)}, type, strides};
}

// A compiled product of one shape. Used by many threads at once: its scratch is theirs.
struct Compiled {
  dnnl::memory::desc a, b, c, scratch;
  dnnl::matmul primitive;
};

std::shared_ptr<const Compiled> compile(const Operand<bfloat16>& a, const Operand<bfloat16>& b, const Product& p) {
  using Type = dnnl::memory::data_type;
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (p.add) {
    dnnl::post_ops after;
    after.append_sum();
    attributes.set_post_ops(after);
  }
  auto compiled = std::make_shared<Compiled>();
  compiled->a = matrix(p.m, p.k, a.stride, a.transposed, Type::bf16);
  compiled->b = matrix(p.k, p.n, b.stride, b.transposed, Type::bf16);
  compiled->c = matrix(p.m, p.n, p.stride, false, Type::f32);
  const dnnl::matmul::primitive_desc description{{compiled->a, compiled->b, compiled->c}, attributes, engine()};
  compiled->scratch = description.scratchpad_desc();
  compiled->primitive = dnnl::matmul{description};
  return compiled;
}

std::shared_ptr<const Compiled> compiled_for(const Operand<bfloat16>& a, const Operand<bfloat16>& b, const Product& p) {
  using Key = std::array<std::size_t, 9>;
  static std::mutex mutex;
  static std::map<Key, std::shared_ptr<const Compiled>> known;
  constexpr std::size_t limit = 4096;  // shapes of a training run are a few dozen; generation may bring many
  const Key key{p.m, p.n, p.k, p.stride, p.add, a.stride, a.transposed, b.stride, b.transposed};
  const std::lock_guard lock{mutex};
  if (const auto found = known.find(key); found != known.end()) return found->second;
  if (known.size() == limit) known.clear();
  return known[key] = compile(a, b, p);
}

}  // namespace

bool has_bfloat16_products() { return instruction_path() == InstructionPath::avx512_bf16; }

std::size_t most_rows() { return instruction_path() == InstructionPath::avx2 ? 512 : 256; }

// oneDNN lays out what it multiplies only in products of a certain size; on AVX2 of 1 / m + 1 / n below 0.0038
// (FORCE_NOCOPY_THRESH of its gemm_driver.cpp). Below 64 rows copying costs more than conflicts do.
bool reads_in_place(std::size_t m, std::size_t n) {
  if (instruction_path() != InstructionPath::avx2 || std::min(m, n) < 64) return false;
  return 1.0 / static_cast<double>(m) + 1.0 / static_cast<double>(n) >= 0.0038;
}

void multiply(const Operand<float>& a, const Operand<float>& b, const Product& p) {
  prepare_thread();
  if (p.k == 0) {
    if (!p.add) clear(p);
    return;
  }
  const dnnl::status status =
      dnnl::sgemm(a.transposed ? 'T' : 'N', b.transposed ? 'T' : 'N', dim(p.m), dim(p.n), dim(p.k), 1.0f, a.data,
                  dim(a.stride), b.data, dim(b.stride), p.add ? 1.0f : 0.0f, p.c, dim(p.stride));
  check(status == dnnl::status::success, "oneDNN cannot multiply ", p.m, " x ", p.k, " by ", p.k, " x ", p.n,
        ": status ", static_cast<int>(status));
}

void multiply(const Operand<bfloat16>& a, const Operand<bfloat16>& b, const Product& p) {
  prepare_thread();
  if (p.k == 0) {
    if (!p.add) clear(p);
    return;
  }
  try {
    const std::shared_ptr<const Compiled> compiled = compiled_for(a, b, p);
    dnnl::stream stream{engine()};
    // oneDNN's handles are not const; it only reads a and b.
    const dnnl::memory memory_a{compiled->a, engine(), const_cast<bfloat16*>(a.data)};
    const dnnl::memory memory_b{compiled->b, engine(), const_cast<bfloat16*>(b.data)};
    const dnnl::memory memory_c{compiled->c, engine(), p.c};
    const dnnl::memory memory_scratch{compiled->scratch, engine(),
                                      scratch(Scratch::library, compiled->scratch.get_size())};
    compiled->primitive.execute(stream, {{DNNL_ARG_SRC, memory_a},
                                         {DNNL_ARG_WEIGHTS, memory_b},
                                         {DNNL_ARG_DST, memory_c},
                                         {DNNL_ARG_SCRATCHPAD, memory_scratch}});
    stream.wait();
  } catch (const dnnl::error& error) {
    fail(Exit::internal,
         str("oneDNN cannot multiply bfloat16 ", p.m, " x ", p.k, " by ", p.k, " x ", p.n, ": ", error.what()));
  }
}

}  // namespace tranche::ops
