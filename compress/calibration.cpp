#include "compress/calibration.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "compress/histogram.h"
#include "compress/observer.h"
#include "runtime/base/round.h"
#include "runtime/ops/elementwise.h"
#include "runtime/train/batches.h"

namespace tranche::compress {
namespace {

constexpr std::array<std::string_view, 4> method_names{"min-max", "percentile", "least-squares", "kl"};
constexpr double kept_percent = 99.99;
constexpr Range nothing_seen{std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()};

std::string input_of(const std::string& weight) { return "the input of " + weight; }

InputRanges widest_ranges(Model& model, WatchedLinears& linears, const Windows& windows, Communicator& world,
                          Device& device) {
  InputRanges ranges;
  show_windows(model, linears, windows, world, device, [&](const Parameter& weight, std::span<const float> values) {
    Range& range = ranges.try_emplace(weight.name, nothing_seen).first->second;
    if (values.empty()) return;
    const Range seen = min_max(values, ops::QuantizationGrid::per_tensor(values.size()), input_of(weight.name)).front();
    range = {std::min(range.low, seen.low), std::max(range.high, seen.high)};
  });
  for (auto& [weight, range] : ranges) {  // in the order of names, on every rank
    const std::array<double, 2> mine{range.low, range.high};
    const std::vector<double> ends = world.gather(mine, "calibration ranges");
    for (std::size_t rank = 0; rank < world.size(); ++rank)
      range = {std::min(range.low, static_cast<float>(ends[2 * rank])),
               std::max(range.high, static_cast<float>(ends[2 * rank + 1]))};
  }
  return ranges;
}

Range chosen(const Histogram& histogram, RangeMethod method) {
  switch (method) {
    case RangeMethod::percentile: return percentile_range(histogram, kept_percent);
    case RangeMethod::least_squares: return least_squares_range(histogram);
    case RangeMethod::kl: return kl_range(histogram);
    case RangeMethod::min_max: break;
  }
  return histogram.range();
}

}  // namespace

RangeMethod range_method_named(const std::string& name) {
  const auto* const found = std::find(method_names.begin(), method_names.end(), name);
  ensure(Exit::usage, found != method_names.end(), "there is no method '", name,
         "': expected min-max, percentile, least-squares or kl");
  return static_cast<RangeMethod>(found - method_names.begin());
}
std::string_view name_of(RangeMethod method) { return method_names[static_cast<std::size_t>(method)]; }

Tensor WatchedLinears::multiply(const Tensor& x, const Parameter& weight, const Tensor& bias) const {
  if (watcher_) watcher_(weight, x);
  return LinearForm::multiply(x, weight, bias);
}

void show_windows(Model& model, WatchedLinears& linears, const Windows& windows, Communicator& world, Device& device,
                  const SeeInput& see) {
  const std::uint64_t all = count_samples(windows.file, windows.sequence_length);
  const SequentialOrder order{windows.samples == 0 ? all : std::min(windows.samples, all), windows.micro_batch_size};
  const std::uint64_t count = order.micro_batches();
  const Recording pause{nullptr};
  const Evaluating evaluating{model};
  bool mine = false;
  linears.watch([&](const Parameter& weight, const Tensor& x) {
    if (!mine) return see(weight, {});
    if (x.dtype() == DType::float32) return see(weight, x.span<float>());
    const Tensor wide = x.sibling("watched input", x.shape(), DType::float32);
    ops::convert(x.detached(), wide);
    see(weight, wide.span<float>());
  });
  for (std::uint64_t round = 0; round < pieces_of(count, world.size()); ++round) {
    const std::uint64_t number = round * world.size() + world.rank(), read = std::min(number, count - 1);
    mine = number < count;
    model.forward(read_tensors(windows.file, order.samples_of(read), windows.sequence_length, read, device).tokens);
  }
  linears.watch({});
}

InputRanges calibrate(Model& model, WatchedLinears& linears, const Windows& windows, RangeMethod method,
                      Communicator& world, Device& device) {
  const Doing frame{[&] { return str("calibrating on ", windows.file.path().string()); }};
  InputRanges ranges = widest_ranges(model, linears, windows, world, device);
  if (method == RangeMethod::min_max) return ranges;
  std::map<std::string, Histogram> histograms;
  for (const auto& [weight, range] : ranges) histograms.emplace(weight, Histogram{range});
  show_windows(model, linears, windows, world, device, [&](const Parameter& weight, std::span<const float> values) {
    histograms.at(weight.name).count(values, input_of(weight.name));
  });
  for (auto& [weight, histogram] : histograms) {
    const std::vector<std::uint64_t>& counts = histogram.counts();
    const std::vector<double> mine(counts.begin(), counts.end());  // exact up to 2^53
    const std::vector<double> all = world.gather(mine, "calibration counts");
    Histogram sum{histogram.range()};
    for (std::size_t rank = 0; rank < world.size(); ++rank) {
      const auto first = all.begin() + static_cast<std::ptrdiff_t>(rank * counts.size());
      sum.add(std::vector<std::uint64_t>(first, first + static_cast<std::ptrdiff_t>(counts.size())));
    }
    ranges[weight] = chosen(sum, method);
  }
  return ranges;
}

}  // namespace tranche::compress
