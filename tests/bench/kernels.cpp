// The kernels beside what this machine can do: each a case of cases.cpp, its speed, and the ratio to the ceiling that
// bounds it, measured in the same run. Fails where a ratio is so low that a loop cannot have become vector
// instructions.
//
// Usage: kernels [--threads=N] [--benchmark_filter=REGEX ...]     (default: all cores)
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <map>
#include <thread>

#include "runtime/base/error.h"
#include "runtime/ops/instruction_path.h"
#include "runtime/ops/linear.h"
#include "tests/bench/cases.h"
#include "tests/bench/ceilings.h"

namespace tranche::bench {
namespace {

class Ceilings {
 public:
  explicit Ceilings(int threads) : threads_(threads) { measure(); }

  // Once more, so that a moment's disturbance by another program does not stay in every ratio.
  void measure() {
    const std::array rates{read_rate(threads_), copy_rate(threads_), add_rate(threads_),
                           gemm_rate(DType::float32, threads_), gemm_rate(DType::bfloat16, threads_)};
    for (std::size_t i = 0; i < rates.size(); ++i) rates_[i] = std::max(rates_[i], rates[i]);
  }
  // Where there is no bfloat16 product, operands are converted, and float32's rate is the ceiling.
  double rate(Ceiling ceiling) const {
    const double found = rates_[static_cast<std::size_t>(ceiling)];
    return found > 0 ? found : rates_[static_cast<std::size_t>(Ceiling::gemm_float32)];
  }

 private:
  int threads_;
  std::array<double, ceiling_count> rates_{};
};

constexpr std::array<const char*, ceiling_count> names{"read", "copy", "a += b", "float32 GEMM", "bf16 GEMM"};

// Google Benchmark measures, this prints.
class Table : public benchmark::BenchmarkReporter {
 public:
  Table(Ceilings& ceilings, const std::vector<Case>& cases) : ceilings_(ceilings), cases_(cases) {}

  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration || run.iterations == 0) continue;
      Best& best = best_.try_emplace(run.run_name.function_name).first->second;
      best.seconds = std::min(best.seconds, run.real_accumulated_time / static_cast<double>(run.iterations));
      best.work = run.counters.at("work").value;
      if (const auto own = run.counters.find("ceiling"); own != run.counters.end())
        best.ceiling = std::max(best.ceiling, own->second.value);
    }
  }
  void Finalize() override {
    ceilings_.measure();
    std::printf("| ceiling | |\n|---|---|\n");
    for (std::size_t i = 0; i < ceiling_count; ++i)
      std::printf("| %s | %.1f %s |\n", names[i], ceilings_.rate(static_cast<Ceiling>(i)) / 1e9,
                  i < 3 ? "GB/s" : "GFlop/s");
    std::printf("\n| kernel | ms | GB/s or GFlop/s | ceiling | ratio |\n|---|---|---|---|---|\n");
    for (const Case& each : cases_)
      if (const auto found = best_.find(each.name); found != best_.end()) tell(each, found->second);
  }
  bool slow() const { return slow_; }

 private:
  struct Best {
    double seconds = std::numeric_limits<double>::infinity(), work = 0, ceiling = 0;
  };

  void tell(const Case& each, const Best& best) {
    const double own = best.ceiling, ceiling = own != 0 ? own : ceilings_.rate(each.ceiling);
    const double rate = best.work / best.seconds, ratio = rate / ceiling;
    const bool slow = ratio < each.least;
    slow_ = slow_ || slow;
    const std::string name = names[static_cast<std::size_t>(each.ceiling)];
    const std::string shown = own != 0 ? str(name, ", own memory: ", std::llround(own / 1e9)) : name;
    std::printf("| %s | %.3f | %.1f | %s | %.2f%s |\n", each.name.c_str(), best.seconds * 1e3, rate / 1e9,
                shown.c_str(), ratio, slow ? str(" (expected: ", each.least, ")").c_str() : "");
  }

  Ceilings& ceilings_;
  const std::vector<Case>& cases_;
  std::map<std::string, Best> best_;
  bool slow_ = false;
};

// The ops tell oneDNN which instructions to keep to, which must come before the ceilings' first product.
void choose_instructions(Device& device) {
  const Tensor x = Tensor::zeros(device, "x", Category::activations, {16, 16}, DType::float32);
  ops::linear(x, x, {}, x.sibling("y", {16, 16}, DType::float32));
}

// --threads=N, taken out of the arguments.
int take_threads(int& argc, char** argv) {
  int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], "--threads=", 10) != 0) continue;
    threads = std::max(1, std::atoi(argv[i] + 10));
    std::copy(argv + i + 1, argv + argc, argv + i);
    --argc;
    break;
  }
  return threads;
}

}  // namespace
}  // namespace tranche::bench

int main(int argc, char** argv) {
  using namespace tranche::bench;
  const int threads = take_threads(argc, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;

  std::printf("%d threads, instruction path %s; the best of some runs\n\n", threads,
              std::string{tranche::ops::name_of(tranche::ops::instruction_path())}.c_str());
  tranche::CpuDevice device{static_cast<std::size_t>(threads)};
  choose_instructions(device);
  Ceilings ceilings{threads};
  const std::vector<Case> cases = all_cases();
  for (const Case& each : cases)
    benchmark::RegisterBenchmark(each.name.c_str(),
                                 [&](benchmark::State& state) {
                                   const Work work = each.make(device);
                                   for (auto _ : state) work.run();
                                   state.counters["work"] = work.amount;
                                   if (work.ceiling) state.counters["ceiling"] = work.ceiling(threads);
                                 })
        ->UseRealTime()
        ->MinTime(0.1)
        ->Repetitions(3);
  Table table{ceilings, cases};
  benchmark::RunSpecifiedBenchmarks(&table);
  return table.slow() ? 1 : 0;
}
