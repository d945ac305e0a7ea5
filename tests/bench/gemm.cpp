// Billions of operations a second of the linear ops at the shapes of GPT-2 124M, beside one plain dnnl_sgemm of the
// whole product. Usage: bench_gemm [threads]...   (default 1 and 2)
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <vector>

#include "runtime/device/cpu/cpu_device.h"
#include "runtime/ops/instruction_path.h"
#include "runtime/ops/linear.h"

namespace {

using namespace tranche;

double seconds_of(const std::function<void()>& work) {
  using Clock = std::chrono::steady_clock;
  double best = 1e9, total = 0;
  for (int run = 0; run < 20 && (run < 3 || total < 0.3); ++run) {
    const Clock::time_point start = Clock::now();
    work();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::min(best, seconds), total += seconds;
  }
  return best;
}

struct Size {
  std::size_t rows, in, out;
};

Tensor ones(Device& device, Shape shape, DType dtype) {
  const Tensor x = Tensor::zeros(device, "operand", Category::activations, shape, dtype);
  const float value = 0.5f;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (dtype == DType::float32)
      x.span<float>()[i] = value;
    else if (dtype == DType::float16)
      x.span<float16>()[i] = from_float<float16>(value);
    else
      x.span<bfloat16>()[i] = from_float<bfloat16>(value);
  }
  return x;
}

void measure_ops(CpuDevice& device, const Size& size, DType dtype) {
  const Tensor x = ones(device, {size.rows, size.in}, dtype), y = ones(device, {size.rows, size.out}, dtype);
  const Tensor weight = ones(device, {size.out, size.in}, dtype), bias = ones(device, {size.out}, dtype);
  const double work = 2e-9 * static_cast<double>(size.rows * size.in * size.out);
  const double forward = work / seconds_of([&] { ops::linear(x, weight, bias, y); });
  const double input = work / seconds_of([&] { ops::linear_input_gradient(y, weight, {x, false}); });
  const double added = work / seconds_of([&] { ops::linear_weight_gradient(y, x, {weight, true}); });
  const double bias_seconds = seconds_of([&] { ops::linear_bias_gradient(y, {bias, false}); });
  std::printf("  %-9s %8.0f %8.0f %8.0f   bias gradient %.2f ms\n", std::string{name_of(dtype)}.c_str(), forward, input,
              added, bias_seconds * 1e3);
}

void measure_sgemm(const Size& size, int threads) {
  omp_set_num_threads(threads);
  const auto rows = static_cast<dnnl_dim_t>(size.rows), in = static_cast<dnnl_dim_t>(size.in);
  const auto out = static_cast<dnnl_dim_t>(size.out);
  std::vector<float> x(size.rows * size.in, 0.5f), y(size.rows * size.out, 0.5f), weight(size.in * size.out, 0.5f);
  const double work = 2e-9 * static_cast<double>(size.rows * size.in * size.out);
  const double forward = work / seconds_of([&] {
                           dnnl::sgemm('N', 'T', rows, out, in, 1, x.data(), in, weight.data(), in, 0, y.data(), out);
                         });
  const double input = work / seconds_of([&] {
                         dnnl::sgemm('N', 'N', rows, in, out, 1, y.data(), out, weight.data(), in, 0, x.data(), in);
                       });
  const double added = work / seconds_of([&] {
                         dnnl::sgemm('T', 'N', out, in, rows, 1, y.data(), out, x.data(), in, 1, weight.data(), in);
                       });
  std::printf("  %-9s %8.0f %8.0f %8.0f\n", "sgemm", forward, input, added);
  omp_set_num_threads(1);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<int> all_threads;
  for (int i = 1; i < argc; ++i) all_threads.push_back(std::atoi(argv[i]));
  if (all_threads.empty()) all_threads = {1, 2};
  std::printf("instruction path %s; Gop/s of forward, input gradient, weight gradient (added)\n",
              std::string{ops::name_of(ops::instruction_path())}.c_str());
  for (const int threads : all_threads) {
    CpuDevice device{static_cast<std::size_t>(threads)};
    for (const Size size : {Size{1024, 768, 2304}, Size{1024, 768, 768}, Size{1024, 768, 3072}, Size{1024, 3072, 768},
                            Size{1024, 768, 50304}, Size{1, 768, 50304}}) {
      std::printf("%d threads, %zu rows, %zu -> %zu\n", threads, size.rows, size.in, size.out);
      for (const DType dtype : {DType::float32, DType::bfloat16, DType::float16}) measure_ops(device, size, dtype);
      measure_sgemm(size, threads);
    }
  }
}
