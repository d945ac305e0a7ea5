#include "compress/input_scaling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "compress/block_names.h"
#include "compress/observer.h"
#include "runtime/base/error.h"

namespace tranche::compress {
namespace {

constexpr int candidates = 20;            // of alpha: 0, 1/20 ...
constexpr double least_magnitude = 1e-4;  // of an input's mean, so that none has a factor of 0

using Parameters = std::map<std::string, const Parameter*>;

const Parameter* find(const Parameters& all, const std::string& name) {
  const auto found = all.find(name);
  return found == all.end() ? nullptr : found->second;
}
// The weight that multiplies a linear's inputs, and the one whose rows are its outputs; null: there is no such linear.
const Parameter* reading_weight(const Parameters& all, const std::string& linear) {
  const Parameter* factor = find(all, linear + ".right.weight");
  return factor != nullptr ? factor : find(all, linear + ".weight");
}
const Parameter* writing_weight(const Parameters& all, const std::string& linear) {
  const Parameter* factor = find(all, linear + ".left.weight");
  return factor != nullptr ? factor : find(all, linear + ".weight");
}

// Those of names that the model has.
std::vector<Scalable::Writer> writers_of(const Parameters& all, std::initializer_list<std::string> names,
                                         std::size_t first) {
  std::vector<Scalable::Writer> writers;
  for (const std::string& name : names)
    if (find(all, name) != nullptr) writers.push_back({name, first});
  return writers;
}

std::vector<std::size_t> each_its_own(std::size_t count) {
  std::vector<std::size_t> channels(count);
  std::iota(channels.begin(), channels.end(), std::size_t{0});
  return channels;
}

// What linears read of a norm.
void add_norm(const Parameters& all, const std::string& norm, std::initializer_list<std::string> linears,
              std::vector<Scalable>& into) {
  Scalable scalable{.writers = writers_of(all, {norm + ".gain", norm + ".bias"}, 0)};
  for (const std::string& linear : linears)
    if (const Parameter* weight = reading_weight(all, linear)) {
      scalable.readers.push_back(weight->name);
      scalable.count = weight->shape.cols();
    }
  if (scalable.writers.empty() || scalable.readers.empty()) return;
  scalable.channels = each_its_own(scalable.count);
  into.push_back(std::move(scalable));
}

// Several query heads may read the same values.
void add_values(const Parameters& all, const std::string& attention, std::vector<Scalable>& into) {
  const Parameter *projection = writing_weight(all, attention + ".qkv"),
                  *output = reading_weight(all, attention + ".output");
  if (projection == nullptr || output == nullptr) return;
  const Strip values = projection->features.front().strips.at(2), queries = output->features.back().strips.front();
  Scalable scalable{.writers = writers_of(all, {projection->name, attention + ".qkv.bias"}, values.first),
                    .readers = {output->name},
                    .count = projection->features.front().count * values.each};
  for (std::size_t col = 0; col < output->shape.cols(); ++col)
    scalable.channels.push_back(col / queries.each * values.each + col % queries.each % values.each);
  into.push_back(std::move(scalable));
}

void add_gated(const Parameters& all, const std::string& mlp, std::vector<Scalable>& into) {
  if (reading_weight(all, mlp + ".gate") == nullptr) return;
  const Parameter *up = writing_weight(all, mlp + ".up"), *down = reading_weight(all, mlp + ".down");
  const std::size_t count = down->shape.cols();
  into.push_back({writers_of(all, {up->name, mlp + ".up.bias"}, 0), {down->name}, each_its_own(count), count});
}

// Levels times scales.
std::vector<float> numbers_of(const PackedTensor& tensor) {
  const std::size_t in = tensor.shape.cols(), groups = tensor.grid().groups();
  std::vector<float> numbers(tensor.shape.size());
  for (std::size_t i = 0; i < numbers.size(); ++i)
    numbers[i] =
        static_cast<float>(tensor.level(i / in, i % in)) * tensor.scales[i / in * groups + i % in / tensor.group];
  return numbers;
}

std::vector<float> factors_of(const std::vector<double>& magnitudes, double alpha) {
  std::vector<double> powers;
  for (const double each : magnitudes) powers.push_back(std::pow(std::max(each, least_magnitude), alpha));
  const auto [least, greatest] = std::ranges::minmax(powers);
  const double middle = std::sqrt(least * greatest);
  std::vector<float> factors;
  for (const double each : powers) factors.push_back(static_cast<float>(each / middle));
  return factors;
}

// What the readers lose together if their columns are rounded with these factors.
double error_with(const std::vector<float>& factors, const Scalable& scalable, const std::vector<Reader>& readers) {
  double error = 0;
  for (const Reader& reader : readers) {
    const std::size_t in = reader.shape.cols();
    std::vector<float> scaled(reader.values.begin(), reader.values.end());
    for (std::size_t i = 0; i < scaled.size(); ++i) scaled[i] *= factors[scalable.channels[i % in]];
    std::vector<float> rounded = numbers_of(quantize_weight(reader.name, reader.shape, scaled, reader.plan));
    for (std::size_t i = 0; i < rounded.size(); ++i) rounded[i] /= factors[scalable.channels[i % in]];
    error += output_error(rounded, reader.values, in, reader.products);
  }
  return error;
}

}  // namespace

std::vector<Scalable> scalables_of(const std::deque<Unit>& units) {
  std::vector<Scalable> scalables;
  for (const Unit& unit : units) {
    if (!block_of(unit.name())) continue;
    Parameters all;
    for (const Parameter* each : unit.parameters()) all[each->name] = each;
    const std::string &block = unit.name(), mlp = block + ".mlp";
    add_norm(all, block + ".norm1", {block + ".attention.qkv"}, scalables);
    add_values(all, block + ".attention", scalables);
    add_norm(all, block + ".norm2", {mlp + ".gate", mlp + ".up"}, scalables);
    add_gated(all, mlp, scalables);
  }
  return scalables;
}

InputMagnitudes input_magnitudes(Model& model, WatchedLinears& linears, const Windows& windows, Communicator& alone,
                                 Device& device) {
  const Doing frame{[&] { return str("summing magnitudes of inputs over ", windows.file.path().string()); }};
  check(alone.size() == 1, "input_magnitudes: on ", alone.size(), " ranks");
  InputMagnitudes means;
  std::map<std::string, std::size_t> tokens;
  show_windows(model, linears, windows, alone, device, [&](const Parameter& weight, std::span<const float> values) {
    const std::size_t in = weight.shape.cols();
    min_max(values, ops::QuantizationGrid::per_tensor(values.size()), "the input of " + weight.name);  // all finite
    std::vector<double>& sums = means[weight.name];
    sums.resize(in);
    for (std::size_t i = 0; i < values.size(); ++i) sums[i % in] += std::fabs(double{values[i]});
    tokens[weight.name] += values.size() / in;
  });
  for (auto& [weight, sums] : means)
    for (double& each : sums) each /= static_cast<double>(tokens.at(weight));
  return means;
}

double output_error(std::span<const float> rounded, std::span<const float> values, std::size_t in,
                    const std::vector<double>& products) {
  check(rounded.size() == values.size() && values.size() % in == 0 && products.size() == in * in,
        "output_error: ", rounded.size(), " and ", values.size(), " values of rows of ", in, ", ", products.size(),
        " products");
  double error = 0;
  std::vector<double> lost(in);
  for (std::size_t row = 0; row < values.size(); row += in) {
    for (std::size_t col = 0; col < in; ++col) lost[col] = double{rounded[row + col]} - double{values[row + col]};
    for (std::size_t i = 0; i < in; ++i) {
      double others = 0;
      for (std::size_t j = 0; j < i; ++j) others += products[i * in + j] * lost[j];
      error += lost[i] * (2 * others + products[i * in + i] * lost[i]);
    }
  }
  return error;
}

std::vector<float> best_factors(const Scalable& scalable, const std::vector<Reader>& readers,
                                const std::vector<double>& magnitudes) {
  std::vector<float> best;
  double least = std::numeric_limits<double>::infinity();
  for (int candidate = 0; candidate < candidates; ++candidate) {
    std::vector<float> factors = factors_of(magnitudes, static_cast<double>(candidate) / candidates);
    const double error = error_with(factors, scalable, readers);
    ensure(Exit::numerics, std::isfinite(error), readers.front().name, ": what rounding loses of its outputs is ",
           error, ": its inputs are too large");
    if (error < least) {
      least = error;
      best = std::move(factors);
    }
  }
  return best;
}

ScaledValues::ScaledValues(const std::deque<Unit>& units, UnitReader values_of, const InputProducts& products,
                           const InputMagnitudes& magnitudes, Scheme scheme, std::size_t group)
    : values_of_(std::move(values_of)) {
  for (const Unit& unit : units)
    for (const Parameter* each : unit.parameters()) found_[each->name] = {&unit, each};
  for (const Scalable& each : scalables_of(units)) choose(each, products, magnitudes, scheme, group);
}

void ScaledValues::choose(const Scalable& scalable, const InputProducts& products, const InputMagnitudes& magnitudes,
                          Scheme scheme, std::size_t group) {
  std::vector<Reader> readers;
  std::vector<UnitValues> held;
  for (const std::string& name : scalable.readers) {
    const auto& [unit, parameter] = found_.at(name);
    held.push_back(values_of_(*unit));
    readers.push_back({name, parameter->shape, held.back().values.subspan(parameter->offset, parameter->shape.size()),
                       products.at(name), plan_of(scheme, group, parameter->shape, false)});
  }
  // All readers have the same inputs; columns of one channel share a factor.
  const std::vector<double>& of_columns = magnitudes.at(scalable.readers.front());
  std::vector<double> of_channels(scalable.count);
  const double together = static_cast<double>(scalable.count) / static_cast<double>(scalable.channels.size());
  for (std::size_t col = 0; col < scalable.channels.size(); ++col)
    of_channels[scalable.channels[col]] += together * of_columns[col];

  const std::vector<float> factors = best_factors(scalable, readers, of_channels);
  for (const std::string& name : scalable.readers)
    for (const std::size_t channel : scalable.channels) columns_[name].push_back(factors[channel]);
  for (const Scalable::Writer& writer : scalable.writers) {
    std::vector<float>& divisors = rows_[writer.name];
    divisors.assign(found_.at(writer.name).parameter->shape[0], 1.0f);
    std::ranges::copy(factors, divisors.begin() + static_cast<std::ptrdiff_t>(writer.first));
  }
}

UnitValues ScaledValues::operator()(const Unit& unit) const {
  const UnitValues before = values_of_(unit);
  const auto values = std::make_shared<std::vector<float>>(before.values.begin(), before.values.end());
  for (const Parameter* each : unit.parameters()) {
    const std::span<float> own = std::span{*values}.subspan(each->offset, each->shape.size());
    const std::size_t behind = each->shape.dimensions() == 1 ? 1 : each->shape.cols();
    if (const auto columns = columns_.find(each->name); columns != columns_.end())
      for (std::size_t i = 0; i < own.size(); ++i) own[i] *= columns->second[i % behind];
    if (const auto rows = rows_.find(each->name); rows != rows_.end())
      for (std::size_t i = 0; i < own.size(); ++i) own[i] /= rows->second[i / behind];
  }
  return {*values, values};
}

}  // namespace tranche::compress
