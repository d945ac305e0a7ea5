#include "compress/quantize_weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "compress/observer.h"
#include "compress/step_sizes.h"
#include "runtime/base/error.h"

namespace tranche::compress {
namespace {

std::int32_t level_of(float x, float scale, ops::Levels levels) {
  const float level = std::nearbyint(x / scale);
  return static_cast<std::int32_t>(std::clamp(level, static_cast<float>(levels.low), static_cast<float>(levels.high)));
}

double squared_error(std::span<const float> values, float scale, ops::Levels levels) {
  double sum = 0;
  for (const float x : values) {
    const double error = double{x} - double{static_cast<float>(level_of(x, scale, levels)) * scale};
    sum += error * error;
  }
  return sum;
}

// Scales of few bits that are tried: the largest magnitude times 8 / most, 8 / (most - 1) ... 8 / least.
struct Tried {
  int least, most;
};
// Four bits: between 7 levels, which reach no further than the largest magnitude, and 9, which clamp it. Two bits have
// so few that the best clamp far more.
Tried tried_of(TensorForm form) { return form == TensorForm::int4 ? Tried{56, 72} : Tried{8, 40}; }

float best_scale(TensorForm form, std::span<const float> values, float largest) {
  const Tried tried = tried_of(form);
  float best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (int eighths = tried.least; eighths <= tried.most; ++eighths) {
    const float scale = std::max(largest * 8 / static_cast<float>(eighths), least_scale);
    const double error = squared_error(values, scale, levels_of(form));
    if (error < least) {
      least = error;
      best = scale;
    }
  }
  return best;
}

template <class T> void store_half(PackedTensor& tensor, std::span<const float> values) {
  tensor.values.resize(values.size() * sizeof(T));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const T half = from_float<T>(values[i]);
    ensure(Exit::numerics, std::isfinite(to_float(half)), tensor.name, "[", i, "] is ", values[i], ", which ",
           name_of(tensor.form), " cannot hold; take bfloat16");
    std::memcpy(tensor.values.data() + i * sizeof(T), &half, sizeof(T));
  }
}

void store_rounded(PackedTensor& tensor, std::span<const float> values) {
  const std::size_t cols = tensor.shape.cols();
  min_max(values, tensor.grid(), tensor.name);  // all finite
  for (std::size_t row = 0; row < tensor.shape.rows(); ++row)
    for (std::size_t first = 0; first < cols; first += tensor.group)
      tensor.scales.push_back(
          scale_of_group(tensor.form, values.subspan(row * cols + first, std::min(tensor.group, cols - first))));
  store_levels(tensor, values, rounding_levels(tensor.form));
}

}  // namespace

ops::Levels rounding_levels(TensorForm form) {
  return form == TensorForm::int8 ? ops::Levels{-127, 127} : levels_of(form);
}

float scale_of_group(TensorForm form, std::span<const float> values) {
  float largest = 0;
  for (const float each : values) largest = std::max(largest, std::fabs(each));
  if (largest == 0) return 1;
  return form == TensorForm::int8 ? std::max(largest / 127, least_scale) : best_scale(form, values, largest);
}

void check_scales(const PackedTensor& tensor) {
  const std::size_t groups = tensor.grid().groups();
  for (std::size_t i = 0; i < tensor.scales.size(); ++i)
    ensure(Exit::numerics, tensor.scales[i] >= least_scale && tensor.scales[i] <= most_scale, tensor.name, "[",
           i / groups, ", ", i % groups * tensor.group, "...] has the scale ", tensor.scales[i],
           ", expected one from 2^-100 to 2^100: the model did not train");
}

void store_levels(PackedTensor& tensor, std::span<const float> values, ops::Levels levels) {
  check_scales(tensor);
  const std::size_t cols = tensor.shape.cols();
  tensor.values.assign(tensor.value_bytes(), std::byte{0});
  for (std::size_t row = 0, parameter = 0; row < tensor.shape.rows(); ++row)
    for (std::size_t first = 0; first < cols; first += tensor.group, ++parameter)
      for (std::size_t col = first; col < std::min(first + tensor.group, cols); ++col)
        tensor.set_level(row, col, level_of(values[row * cols + col], tensor.scales.at(parameter), levels));
}

PackedTensor quantize_weight(const std::string& name, const Shape& shape, std::span<const float> values,
                             const Plan& plan) {
  check(values.size() == shape.size(), name, ": ", values.size(), " values of shape ", shape);
  PackedTensor tensor{name, shape, plan.form, plan.group, {}, {}};
  if (is_integer(plan.form)) {
    store_rounded(tensor, values);
    return tensor;
  }
  min_max(values, ops::QuantizationGrid::per_tensor(values.size()), name);  // all finite
  if (plan.form == TensorForm::float16)
    store_half<float16>(tensor, values);
  else if (plan.form == TensorForm::bfloat16)
    store_half<bfloat16>(tensor, values);
  else
    tensor.values.assign(std::as_bytes(values).begin(), std::as_bytes(values).end());
  return tensor;
}

PackedTensor quantize_weight_by_one_scale(const std::string& name, const Shape& shape, std::span<const float> values,
                                          const Plan& plan) {
  check(plan.form == TensorForm::int8 && values.size() == shape.size(), name, ": ", values.size(), " values of shape ",
        shape, " with one scale");
  min_max(values, ops::QuantizationGrid::per_tensor(values.size()), name);  // all finite
  PackedTensor tensor{name, shape, plan.form, plan.group, {}, {}};
  tensor.scales.assign(tensor.grid().parameters(), scale_of_group(plan.form, values));
  store_levels(tensor, values, rounding_levels(plan.form));
  return tensor;
}

void write_packed(const std::filesystem::path& path, const PackedDescription& description,
                  const std::deque<Unit>& units, const UnitReader& values_of, const Packing& pack) {
  const Doing frame{[&] { return str("packing the model into ", path.string()); }};
  PackedWriter writer{path};
  for (const Unit& unit : units) {
    const UnitValues flat = values_of(unit);
    for (const Parameter* parameter : unit.parameters())
      if (!is_step_sizes(parameter->name))  // scales of training: packed tensors have their own
        writer.append(pack(unit, *parameter, flat.values.subspan(parameter->offset, parameter->shape.size())));
  }
  writer.finish(description);
}

void quantize_model(const std::filesystem::path& path, const PackedDescription& description, std::size_t group,
                    const std::deque<Unit>& units, const UnitReader& values_of, const InputRanges& inputs,
                    const Rounding& round) {
  std::size_t used = 0;
  for (const Unit& unit : units)
    for (const Parameter* parameter : unit.parameters()) used += inputs.contains(parameter->name) ? 1 : 0;
  ensure(Exit::data, used == inputs.size(), "of ", inputs.size(), " ranges ", used,
         " belong to a weight of this model: they are another model's");
  const auto pack = [&](const Unit& unit, const Parameter& parameter, std::span<const float> values) {
    const bool table = unit.name() == "embedding" || unit.name() == "head";
    const Plan plan = plan_of(description.scheme, group, parameter.shape, table);
    ensure(Exit::usage,
           activations_of(description.scheme) != ops::ActivationForm::bytes || !is_integer(plan.form) ||
               parameter.shape.cols() <= 65536,
           parameter.name, " has ", parameter.shape.cols(), " columns, more than a sum of ",
           name_of(description.scheme), " can hold: take int8-weight");
    PackedTensor tensor = round(parameter.name, parameter.shape, values, plan);
    if (const auto input = inputs.find(parameter.name); input != inputs.end())
      tensor.input = scale_of(input->second, Symmetry::affine, {0, 255}, "the input of " + parameter.name);
    ensure(Exit::data, description.scheme != Scheme::int8_static || !is_integer(plan.form) || table || tensor.input,
           "there is no range for the input of ", parameter.name, ": calibrate with this model");
    return tensor;
  };
  write_packed(path, description, units, values_of, pack);
}

}  // namespace tranche::compress
