#include "compress/convert.h"

#include <algorithm>
#include <cmath>

#include "compress/sparse_tensor.h"
#include "runtime/base/error.h"
#include "runtime/ops/elementwise.h"

namespace tranche::compress {
namespace {

constexpr const char* advice =
    "set compression_training.activation_quantization.shared_parameters.quantization_type=asymmetric and 8 bits";

// Columns of a row that share a scale, in the grid that training divided the weight by.
std::size_t columns_of_group(const Parameter& parameter, const ops::QuantizationGrid& grid) {
  const std::size_t cols = parameter.shape.cols();
  ensure(Exit::usage, grid.cols == cols || grid.group % cols == 0 || cols % grid.group == 0, parameter.name, " has ",
         cols, " columns, and quantize_groups makes groups of ", grid.group,
         " that end within a row: train with group_columns");
  return std::min(grid.group, cols);
}

// The most columns up to 128 that divide `columns` and that products take of this form; 0: none.
std::size_t group_within(std::size_t columns, TensorForm form) {
  const std::size_t granule = ops::PackedShape{.bits = bits_of(form)}.granule();
  for (std::size_t group = most_in_group; group >= granule; group -= granule)
    if (columns % group == 0) return group;
  return 0;
}

// The form that holds these bits, and how many columns share a scale in it: `columns`, or a divisor.
Plan packed_plan(const Parameter& parameter, std::size_t columns, unsigned bits, Scheme scheme) {
  const std::size_t cols = parameter.shape.cols();
  if (is_of_signs(scheme)) {
    ensure(Exit::usage, columns == cols, parameter.name, ": signs have one scale a row, and this weight was trained ",
           "with groups of ", columns, " columns: train with group_columns of at least a row's");
    return {TensorForm::signs, cols};
  }
  const TensorForm form = bits <= 2 ? TensorForm::int2 : bits <= 4 ? TensorForm::int4 : TensorForm::int8;
  if (activations_of(scheme) == ops::ActivationForm::bytes) {
    ensure(Exit::usage, columns == cols, parameter.name, ": ", name_of(scheme),
           " has one scale a row, and this weight was trained with groups of ", columns,
           " columns: train with group_columns of at least a row's, or without activation_quantization");
    return {form, cols};
  }
  if (columns == cols) return {form, most_in_group};
  for (const TensorForm each : {form, TensorForm::int4, TensorForm::int8})  // two bits divide fewer groups
    if (const std::size_t group = group_within(columns, each); bits_of(each) >= bits && group != 0)
      return {each, group};
  fail(Exit::usage, str(parameter.name, " was trained with groups of ", columns,
                        " columns; packed ones are multiples of 8: set group_columns so"));
}

// What a forward sees of a master.
float seen_as(float master, DType working) {
  if (working == DType::bfloat16) return to_float(from_float<bfloat16>(master));
  return working == DType::float16 ? to_float(from_float<float16>(master)) : master;
}

}  // namespace

Scheme scheme_after(const CompressConfig& config) {
  using Signs = InputQuantization::Signs;
  if (!config.weights.enabled) {
    ensure(Exit::usage, !config.inputs.enabled || config.inputs.signs == Signs::none,
           "this model was trained with inputs that are signs of float weights, which no packed model has: train with "
           "compression_training.weight_quantization of 1 bit beside it");
    ensure(Exit::usage, !config.inputs.enabled,
           "this model was trained with quantized inputs of float weights, which no packed model has: ", advice,
           " with weight_quantization beside it");
    ensure(Exit::usage, config.pruning.enabled,
           "this checkpoint was trained without compression_training.weight_quantization and sparse_pruning: `tranche "
           "compress quantize` packs it");
    return Scheme::sparse;
  }
  ensure(Exit::usage, config.weights.symmetry == Symmetry::symmetric,
         "packed weights have levels about 0, and this model was trained with asymmetric ones: set "
         "compression_training.weight_quantization.shared_parameters.quantization_type=symmetric");
  if (config.inputs.enabled && config.inputs.signs != Signs::none) {
    for (const WeightGroup& group : config.weights.by_modules)
      ensure(Exit::usage, group.target_bits == 1,
             "packed models multiply inputs that are signs with weights that are, and this one was trained with "
             "weights of ",
             group.target_bits, " bits: give every group of weight_quantization 1 bit");
    return config.inputs.signs == Signs::plain ? Scheme::signs : Scheme::scaled_signs;
  }
  if (config.inputs.enabled) {
    for (const InputGroup& group : config.inputs.by_modules)
      ensure(Exit::usage, group.bits == 8, "packed models multiply inputs of 8 bits, and this one was trained with ",
             group.bits, ": ", advice);
    if (config.inputs.learned_steps) return Scheme::int8_static;
    ensure(Exit::usage, config.inputs.symmetry == Symmetry::affine,
           "packed models multiply inputs over ranges that contain 0, and this one was trained with symmetric ones: ",
           advice);
    return config.inputs.calibration == InputQuantization::Calibration::fixed ? Scheme::int8_static
                                                                              : Scheme::int8_dynamic;
  }
  const auto all = [&](const auto& has) { return std::ranges::all_of(config.weights.by_modules, has); };
  if (all([](const WeightGroup& group) { return group.target_bits <= 2; })) return Scheme::int2_weight;
  return all([](const WeightGroup& group) { return group.target_bits > 4; }) ? Scheme::int8_weight
                                                                             : Scheme::int4_weight;
}

PackedTensor convert_weight(const Parameter& parameter, std::span<const float> values, std::span<const float> steps,
                            const CompressConfig& config, std::uint64_t updates, DType working, Scheme scheme,
                            Device& device) {
  const Shape& shape = parameter.shape;
  const auto tensor_of = [&](const Shape& of, DType dtype) {
    return Tensor::empty(device, parameter.name, Category::workspace, of, dtype);
  };
  const auto as_seen = [&](std::span<const float> masters, const Shape& of) {
    const Tensor seen = tensor_of(of, working), numbers = tensor_of(of, DType::float32);
    std::ranges::copy(masters, numbers.span<float>().begin());
    ops::convert(numbers, seen);
    ops::convert(seen, numbers);
    return numbers;
  };
  const Tensor numbers = as_seen(values, shape);
  const WeightGroup* const group = config.weights.group_of(parameter);
  if (group == nullptr) return quantize_weight(parameter.name, shape, numbers.span<const float>(), {});

  check(updates >= config.weights.offset, "convert_weight: after ", updates, " updates");
  const unsigned bits = group->bits_after(updates - config.weights.offset);
  const ops::QuantizationGrid grid = config.weights.grid_of(parameter);
  const Tensor levels = tensor_of(shape, DType::float32);
  Tensor scales;
  if (steps.empty()) {
    scales = tensor_of({grid.parameters()}, DType::float32);
    ops::fake_quantize(numbers, grid, config.weights.form_of(bits), bits, levels, scales);
  } else {
    scales = as_seen(steps, {grid.parameters()});
    ops::fake_quantize_by(numbers, scales, grid, bits, levels);
    for (float& each : scales.span<float>()) each = std::max(std::fabs(each), ops::least_step);
  }

  const Plan plan = packed_plan(parameter, columns_of_group(parameter, grid), bits, scheme);
  PackedTensor packed{parameter.name, shape, plan.form, plan.group, {}, {}};
  const std::span<const float> by_group = scales.span<const float>();
  for (std::size_t row = 0; row < shape.rows(); ++row)
    for (std::size_t col = 0; col < shape.cols(); col += packed.group) {
      // Rows of the grid are rows of the weight, or whole groups one after another.
      const std::size_t element = row * shape.cols() + col;
      const std::size_t in_row = element % grid.cols;
      packed.scales.push_back(by_group[element / grid.cols * grid.groups() + in_row / grid.group]);
    }
  ensure(Exit::usage,
         packed.form != TensorForm::signs ||
             std::ranges::find(levels.span<const float>(), 0.0f) == levels.span<const float>().end(),
         parameter.name,
         " has a weight of 0, which has no sign: train on, or "
         "with learned_step_sizes, which count 0 as positive");
  store_levels(packed, levels.span<const float>(), levels_of(packed.form));
  return packed;
}

void convert_pruned_model(const std::filesystem::path& path, const PackedDescription& description,
                          const std::deque<Unit>& units, const UnitReader& values_of, const PruningConfig& config,
                          std::uint64_t updates) {
  ensure(Exit::usage, config.progress_after(updates) > 0, "this checkpoint has done ", updates,
         " updates, and pruning begins after ", config.offset, ": train on, then convert");
  write_packed(
      path, description, units, values_of, [](const Unit&, const Parameter& parameter, std::span<const float> values) {
        return parameter.shape.dimensions() == 2 ? pack_sparse(parameter.name, parameter.shape, values)
                                                 : quantize_weight(parameter.name, parameter.shape, values, {});
      });
}

void convert_model(const std::filesystem::path& path, const PackedDescription& description,
                   const std::deque<Unit>& units, const UnitReader& values_of, const CompressConfig& config,
                   const FakeQuantization& quantization, std::uint64_t updates, DType working, Device& device) {
  const std::uint64_t begins = std::max(config.weights.offset, config.inputs.enabled ? config.inputs.offset : 0);
  ensure(Exit::usage, updates >= begins, "this checkpoint has done ", updates,
         " updates, and fake quantization begins after ", begins, ": train on, then convert");
  const auto pack = [&](const Unit& unit, const Parameter& parameter, std::span<const float> values) {
    const Parameter* learned = quantization.weights().steps().of(parameter);
    const UnitValues flat = learned != nullptr ? values_of(unit) : UnitValues{};
    const std::span<const float> steps =
        learned != nullptr ? flat.values.subspan(learned->offset, learned->shape.size()) : std::span<const float>{};
    PackedTensor tensor =
        convert_weight(parameter, values, steps, config, updates, working, description.scheme, device);
    const bool quantized_input = config.inputs.group_of(parameter) != nullptr;
    const bool integer = is_integer(tensor.form);
    ensure(Exit::usage, !config.inputs.enabled || integer == quantized_input || parameter.shape.dimensions() != 2,
           parameter.name, integer ? " is quantized, and its input is not" : " is not quantized, and its input is",
           ": packed products have both or neither; give weight_quantization and activation_quantization the same "
           "modules");
    ensure(Exit::usage, tensor.form != TensorForm::signs || (unit.name() != "embedding" && unit.name() != "head"),
           parameter.name, " is of signs, which packed models have of linears alone: name modules without it");
    if (description.scheme != Scheme::int8_static || !integer) return tensor;
    if (const Parameter* step = quantization.inputs().steps().of(parameter)) {
      const float learned_step = seen_as(values_of(unit).values[step->offset], working);
      tensor.input = ScaleAndZero{std::max(std::fabs(learned_step), ops::least_step), 128};
    } else if (const Range* range = quantization.inputs().range_of(parameter.name))
      tensor.input = scale_of(*range, Symmetry::affine, {0, 255}, "the input of " + parameter.name);
    return tensor;
  };
  write_packed(path, description, units, values_of, pack);
}

}  // namespace tranche::compress
