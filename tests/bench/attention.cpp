// Attention at the shapes of GPT-2 124M and of a Llama: milliseconds, and billions of operations a second, of which the
// causal half counts: 2 products forward and 5 in the gradient. Usage: bench_attention [threads]...   (default 1 and 2)
#include "runtime/ops/attention.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "runtime/device/cpu/cpu_device.h"
#include "runtime/ops/elementwise.h"
#include "runtime/ops/instruction_path.h"

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

void measure(CpuDevice& device, const ops::AttentionShape& s, DType dtype, float probability) {
  const std::size_t rows = s.batch * s.sequence;
  const auto make = [&](Shape shape, DType type) {
    const Tensor values = Tensor::zeros(device, "values", Category::activations, shape, DType::float32);
    ops::fill_normal(values, RandomKey{1, Purpose::initialise}, 0, 0, 1);
    const Tensor x = Tensor::zeros(device, "operand", Category::activations, shape, type);
    ops::convert(values, x);
    return x;
  };
  const Tensor qkv = make({rows, s.qkv_width()}, dtype), y = make({rows, s.width()}, dtype);
  const Tensor dy = make({rows, s.width()}, dtype), dqkv = make({rows, s.qkv_width()}, dtype);
  const Tensor log_sums = make({s.batch, s.heads, s.sequence}, DType::float32);
  const ops::AttentionDropout dropout{probability, RandomKey{1, Purpose::dropout}};
  const double pairs = static_cast<double>(s.batch * s.heads * s.sequence * (s.sequence + 1)) / 2;
  const double product = 2e-9 * pairs * static_cast<double>(s.head_width);
  const double forward = seconds_of([&] { ops::attention(qkv, s, dropout, y, log_sums); });
  const double gradient = seconds_of([&] { ops::attention_gradient(dy, qkv, y, log_sums, s, dropout, {dqkv, false}); });
  const double turn = s.head_width % 2 == 0 ? seconds_of([&] { ops::rotary(qkv, s, 10000, dqkv); }) : 0;
  std::printf("  %-9s dropout %.1f: forward %7.2f ms, %4.0f Gop/s; gradient %7.2f ms, %4.0f Gop/s; rotary %.2f ms\n",
              std::string{name_of(dtype)}.c_str(), static_cast<double>(probability), forward * 1e3,
              2 * product / forward, gradient * 1e3, 5 * product / gradient, turn * 1e3);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<int> all_threads;
  for (int i = 1; i < argc; ++i) all_threads.push_back(std::atoi(argv[i]));
  if (all_threads.empty()) all_threads = {1, 2};
  std::printf("instruction path %s\n", std::string{ops::name_of(ops::instruction_path())}.c_str());
  for (const int threads : all_threads) {
    CpuDevice device{static_cast<std::size_t>(threads)};
    for (const ops::AttentionShape& s :
         {ops::AttentionShape{4, 256, 12, 12, 64, 0.125f}, ops::AttentionShape{1, 1024, 12, 12, 64, 0.125f},
          ops::AttentionShape{1, 1024, 16, 4, 128, 0.088f}}) {
      std::printf("%d threads, %zu x %zu, %zu heads, %zu groups, width %zu\n", threads, s.batch, s.sequence, s.heads,
                  s.groups, s.head_width);
      for (const DType dtype : {DType::float32, DType::bfloat16, DType::float16}) measure(device, s, dtype, 0);
      measure(device, s, DType::float32, 0.1f);
    }
  }
}
