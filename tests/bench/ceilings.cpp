#include "tests/bench/ceilings.h"

#include <omp.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>
#include <vector>

namespace tranche::bench {
namespace {

constexpr std::int64_t buffer_bytes = std::int64_t{256} << 20;

// In huge pages where the system grants them, as Tranche's own memory is; touched.
class Buffer {
 public:
  explicit Buffer(int value) : data_(std::aligned_alloc(std::size_t{2} << 20, buffer_bytes), &std::free) {
    madvise(data_.get(), buffer_bytes, MADV_HUGEPAGE);
    std::memset(data_.get(), value, buffer_bytes);
  }
  template <class T> T* as() const { return static_cast<T*>(data_.get()); }

 private:
  std::unique_ptr<void, void (*)(void*)> data_;
};

// Each thread's part of a buffer.
template <class Part> void in_parts(int threads, std::int64_t size, const Part& part) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int thread = 0; thread < threads; ++thread) {
    const std::int64_t first = size * thread / threads, last = size * (thread + 1) / threads;
    part(first, last - first);
  }
}

// TRANCHE_WIDEST: compiled for the widest registers that the machine may have (CMakeLists.txt).
[[TRANCHE_WIDEST]] std::uint64_t sum(const std::uint64_t* values, std::int64_t size) {
  std::uint64_t total = 0;
  for (std::int64_t i = 0; i < size; ++i) total += values[i];
  return total;
}

[[TRANCHE_WIDEST]] void add(float* a, const float* b, std::int64_t size) {
  for (std::int64_t i = 0; i < size; ++i) a[i] += b[i];
}

[[TRANCHE_WIDEST]] void triad(float* a, const float* b, const float* c, std::int64_t size) {
  for (std::int64_t i = 0; i < size; ++i) a[i] = b[i] + 3 * c[i];
}

// One product of the sizes that GPT-2 124M has, with the weight laid out as oneDNN likes it best.
double product_rate(DType dtype, std::int64_t rows, std::int64_t in, std::int64_t out) {
  using dnnl::memory;
  const auto type = dtype == DType::float32 ? memory::data_type::f32 : memory::data_type::bf16;
  const dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  const memory::desc x{{rows, in}, type, memory::format_tag::ab}, y{{rows, out}, type, memory::format_tag::ab};
  const memory::desc any{{in, out}, type, memory::format_tag::any};
  const dnnl::matmul::primitive_desc choice{dnnl::matmul::desc{x, any, y}, engine};
  const dnnl::matmul product{choice};
  const auto zeros = [&](const memory::desc& desc) {
    memory values{desc, engine};
    std::memset(values.get_data_handle(), 0, desc.get_size());
    return values;
  };
  const std::unordered_map<int, memory> operands{
      {DNNL_ARG_SRC, zeros(x)}, {DNNL_ARG_WEIGHTS, zeros(choice.weights_desc())}, {DNNL_ARG_DST, zeros(y)}};
  const double seconds = seconds_of([&] {
    product.execute(stream, operands);
    stream.wait();
  });
  return 2 * static_cast<double>(rows * in * out) / seconds;
}

}  // namespace

double seconds_of(const std::function<void()>& work) {
  using Clock = std::chrono::steady_clock;
  double best = 1e9, total = 0;
  for (int run = 0; run < 50 && (run < 4 || total < 0.2); ++run) {
    const Clock::time_point start = Clock::now();
    work();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::min(best, seconds), total += seconds;
  }
  return best;
}

double read_rate(int threads) {
  const Buffer values{1};
  return read_rate({values.as<float>(), static_cast<std::size_t>(buffer_bytes / 4)}, threads);
}

double read_rate(std::span<const float> values, int threads) {
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(threads) * 16);  // a cache line apart
  const auto* words = reinterpret_cast<const std::uint64_t*>(values.data());
  const double seconds = seconds_of([&] {
    in_parts(threads, static_cast<std::int64_t>(values.size() / 2), [&](std::int64_t first, std::int64_t size) {
      sums[static_cast<std::size_t>(omp_get_thread_num()) * 16] = sum(words + first, size);
    });
  });
  return static_cast<double>(values.size_bytes()) / seconds;
}

double copy_rate(int threads) {
  const Buffer from{1}, to{2};
  const double seconds = seconds_of([&] {
    in_parts(threads, buffer_bytes, [&](std::int64_t first, std::int64_t size) {
      std::memcpy(to.as<char>() + first, from.as<char>() + first, static_cast<std::size_t>(size));
    });
  });
  return 2 * static_cast<double>(buffer_bytes) / seconds;
}

double add_rate(int threads) {
  const Buffer a{0}, b{0};
  const auto size = static_cast<std::size_t>(buffer_bytes / 4);
  return add_rate({a.as<float>(), size}, {b.as<float>(), size}, threads);
}

double add_rate(std::span<float> a, std::span<const float> b, int threads) {
  const double seconds = seconds_of([&] {
    in_parts(threads, static_cast<std::int64_t>(a.size()),
             [&](std::int64_t first, std::int64_t size) { add(a.data() + first, b.data() + first, size); });
  });
  return 3 * static_cast<double>(a.size_bytes()) / seconds;
}

double triad_rate(std::span<float> a, std::span<const float> b, std::span<const float> c, int threads) {
  const double seconds = seconds_of([&] {
    in_parts(threads, static_cast<std::int64_t>(a.size()), [&](std::int64_t first, std::int64_t size) {
      triad(a.data() + first, b.data() + first, c.data() + first, size);
    });
  });
  return 3 * static_cast<double>(a.size_bytes()) / seconds;
}

double gemm_rate(DType dtype, int threads) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(threads);
  double best = 0;
  try {
    for (const auto& [in, out] : {std::pair{768, 2304}, {768, 3072}, {3072, 768}})
      best = std::max(best, product_rate(dtype, 1024, in, out));
  } catch (const dnnl::error&) {  // no bfloat16 here
    best = 0;
  }
  omp_set_num_threads(before);
  return best;
}

}  // namespace tranche::bench
