#include "compress/config.h"

#include <algorithm>

#include "runtime/base/error.h"
#include "runtime/nn/unit.h"

namespace tranche::compress {
namespace {

// A technique that "enabled" would switch on, and its other keys, which matter only then.
void not_yet(Section& parent, const char* name, const char* what, std::initializer_list<const char*> others) {
  Section& section = parent.section(name, "");
  section.not_yet("enabled", false, what);
  for (const char* key : others) section.no_effect(key, nullptr, "it belongs to a feature that is off");
}

void pruning_not_yet(Section& job, const char* name, std::initializer_list<const char*> keys) {
  Section& section = job.section(name, "");
  not_yet(
      section, "shared_parameters",
      "pruning while training; `tranche compress prune-structure` removes heads, neurons and layers of a trained model",
      keys);
  section.no_effect("different_groups", nullptr, "it belongs to a feature that is off");
}

const std::vector<std::pair<std::string, Symmetry>> symmetries{{"symmetric", Symmetry::symmetric},
                                                               {"asymmetric", Symmetry::affine}};
constexpr const char* about_groups =
    "An object of groups with names of your choice, each `{\"params\": {...}, \"modules\": [\"*\"]}`: \"*\" is every "
    "weight, else a regular expression that is searched for in names such as `blocks.0.mlp.up`; the first group that "
    "contains a weight counts. ";

void declare_weights(Section& section, WeightQuantization& weights, Json& groups) {
  Section& shared =
      section.section("shared_parameters", "Of the forward and backward; the update keeps float weights.");
  shared.key("enabled", weights.enabled).about("Whether models compute with fake-quantized weights.");
  shared.key("schedule_offset", weights.offset).about("Updates before that begins.");
  shared.key("quantize_groups", weights.groups)
      .at_least(1)
      .about("How many parts of a weight, in row-major order, have a scale of their own.");
  shared.key("group_columns", weights.group_columns)
      .at_least(1)
      .about(
          "In place of `quantize_groups`: so many columns of a row share a scale; as many as a row has or more, the "
          "whole row. This key is ours.");
  shared.choice<Symmetry>("quantization_type", weights.symmetry, symmetries)
      .about("Levels about 0, or between the least and the greatest weight.");
  shared.key("learned_step_sizes", weights.learned_steps)
      .about(
          "Whether the distance of two levels is a parameter that trains with the weights (LSQ, Esser et al. 2020), "
          "one "
          "for each part of a weight that shares a scale. This key is ours.");
  shared.not_yet("rounding", "nearest", "stochastic rounding of weights");
  not_yet(shared, "fp16_mixed_quantize", "a mixture of float and quantized weights", {"quantize_change_ratio"});
  shared.no_effect("quantize_weight_in_forward", false,
                   "in either case the forward computes with quantized weights and the update changes float ones");
  shared.no_effect("quantizer_kernel", false, "there is one kernel");
  shared.no_effect("quantize_verbose", false, "`tranche config` prints the effective job");
  section.key("different_groups", groups)
      .about(std::string{about_groups} +
             "params: `start_bits` and `target_bits`, 1 to 8 (2: ternary, 1: binary, after DeepSpeed), "
             "`quantization_period` (default 1): updates with the first; each bit fewer lasts twice as long.");
}

void declare_inputs(Section& section, InputQuantization& inputs, Json& groups) {
  Section& shared = section.section("shared_parameters", "What linears multiply their weights with.");
  shared.key("enabled", inputs.enabled).about("Whether linears compute with fake-quantized inputs.");
  shared.choice<Symmetry>("quantization_type", inputs.symmetry, symmetries)
      .about("Levels about 0, or over a range that contains 0, which packed models compute with.");
  using Calibration = InputQuantization::Calibration;
  shared
      .choice<Calibration>("range_calibration", inputs.calibration,
                           {{"dynamic", Calibration::dynamic}, {"static", Calibration::fixed}})
      .about(
          "Over each token's own range, or over one that follows the micro-batches: range += 0.05 (seen - range), at "
          "the end of a step.");
  shared.key("learned_step_sizes", inputs.learned_steps)
      .about(
          "Whether the distance of two levels of each linear's inputs is a parameter (LSQ), which begins with what "
          "`range_calibration` `static` has seen until then. This key is ours.");
  using Signs = InputQuantization::Signs;
  shared
      .choice<Signs>("signs", inputs.signs, {{"none", Signs::none}, {"plain", Signs::plain}, {"scaled", Signs::scaled}})
      .about(
          "Whether inputs become their signs, for groups of 1 bit: as they are (for weights with learned scales, "
          "XNOR-Net++), or times their token's mean magnitude (XNOR-Net). This key is ours.");
  shared.key("schedule_offset", inputs.offset).about("Updates before that begins.");
  section.key("different_groups", groups)
      .about(std::string{about_groups} + "The modules are the linears. params: `bits`, 1 to 8.");
}

}  // namespace

unsigned WeightGroup::bits_after(std::uint64_t updates) const {
  std::size_t bits = start_bits;
  for (std::uint64_t until = period; bits > target_bits && updates >= until && until < (std::uint64_t{1} << 62);
       until *= 2)
    --bits;
  return static_cast<unsigned>(bits);
}

const WeightGroup* WeightQuantization::group_of(const Parameter& parameter) const {
  return enabled ? first_with(by_modules, parameter) : nullptr;
}

ops::QuantizationGrid WeightQuantization::grid_of(const Parameter& parameter) const {
  const std::size_t rows = parameter.shape.rows(), cols = parameter.shape.cols(), size = rows * cols;
  if (group_columns) return {rows, cols, std::min(*group_columns, cols)};
  ensure(Exit::job_file, size % groups == 0, "\"compression_training.weight_quantization.shared_parameters.",
         "quantize_groups\" is ", groups, ", but ", parameter.name, " has ", size,
         " elements, which is no multiple: choose a divisor, or group_columns");
  return {groups, size / groups, size / groups};
}

ops::FakeForm WeightQuantization::form_of(unsigned bits) const {
  if (bits == 1) return ops::FakeForm::binary;
  if (bits == 2) return ops::FakeForm::ternary;
  return symmetry == Symmetry::symmetric ? ops::FakeForm::symmetric : ops::FakeForm::affine;
}

const InputGroup* InputQuantization::group_of(const Parameter& weight) const {
  return enabled ? first_with(by_modules, weight) : nullptr;
}

void CompressConfig::declare(Section& job) {
  declare_weights(job.section("weight_quantization", "Weights on few levels (quantization-aware training)."), weights,
                  weight_groups_);
  declare_inputs(job.section("activation_quantization", "Inputs of linears on few levels."), inputs, input_groups_);
  pruning.declare(job.section("sparse_pruning", "Single weights that become zero while the others train."));
  for (const char* name : {"row_pruning", "head_pruning", "channel_pruning"})
    pruning_not_yet(job, name, {"schedule_offset", "method", "num_heads"});
}

void CompressConfig::complete(const Source& source) {
  const std::string path = "compression_training.", groups = ".different_groups";
  if (weights.enabled)
    weights.by_modules = read_groups<WeightGroup>(
        weight_groups_, path + "weight_quantization" + groups, source, [](Section& params, WeightGroup& group) {
          params.key("start_bits", group.start_bits).required().between(1, 8);
          params.key("target_bits", group.target_bits).required().between(1, 8);
          params.key("quantization_period", group.period).at_least(1);
        });
  ensure(Exit::job_file, !weights.enabled || !weights.learned_steps || weights.symmetry == Symmetry::symmetric,
         source.file, ": \"", path,
         "weight_quantization.shared_parameters.learned_step_sizes\" is for levels about 0: "
         "set \"quantization_type\" to \"symmetric\"");
  for (const WeightGroup& group : weights.by_modules) {
    ensure(Exit::job_file, group.target_bits <= group.start_bits, source.file, ": \"", path, "weight_quantization",
           groups, "\": \"target_bits\" is ", group.target_bits, ", more than \"start_bits\", ", group.start_bits);
    ensure(Exit::job_file, weights.symmetry == Symmetry::symmetric || group.target_bits > 2, source.file, ": \"", path,
           "weight_quantization.shared_parameters.quantization_type\" is \"asymmetric\", but ", group.target_bits,
           " bits (ternary, binary) are symmetric");
    ensure(Exit::job_file, !weights.learned_steps || group.start_bits == group.target_bits, source.file, ": \"", path,
           "weight_quantization.shared_parameters.learned_step_sizes\" is for a fixed number of bits, and a group goes "
           "from ",
           group.start_bits, " to ", group.target_bits, ": give \"start_bits\" and \"target_bits\" the same number");
  }
  pruning.complete(source);
  ensure(Exit::job_file, !weights.enabled || !weights.learned_steps || !pruning.rewinding.of_weights(), source.file,
         ": \"", path,
         "sparse_pruning.shared_parameters.rewinding\" takes weights back, and their learned step sizes were not those "
         "then: rewind the learning rate alone, or leave \"learned_step_sizes\" away");
  if (inputs.enabled)
    inputs.by_modules = read_groups<InputGroup>(
        input_groups_, path + "activation_quantization" + groups, source,
        [](Section& params, InputGroup& group) { params.key("bits", group.bits).required().between(1, 8); });
  if (inputs.enabled && inputs.learned_steps) {
    const std::string shared =
        str(source.file, ": \"", path, "activation_quantization.shared_parameters.learned_step_sizes\" ");
    ensure(Exit::job_file,
           inputs.symmetry == Symmetry::symmetric && inputs.calibration == InputQuantization::Calibration::fixed &&
               inputs.signs == InputQuantization::Signs::none,
           shared,
           "is for levels about 0 that begin with a range: set \"quantization_type\" to \"symmetric\" and "
           "\"range_calibration\" to \"static\", without \"signs\"");
    ensure(Exit::job_file, inputs.offset >= 2, shared, "begins with a range, and \"schedule_offset\" is ",
           inputs.offset, ": at least 2, so that a step has shown one");
    for (const InputGroup& group : inputs.by_modules)
      ensure(Exit::job_file, group.bits >= 2, shared, "is for 2 bits or more, and a group has \"bits\" ", group.bits);
  }
  if (inputs.enabled && inputs.signs != InputQuantization::Signs::none) {
    const std::string shared =
        str(source.file, ": \"", path, "activation_quantization.shared_parameters.signs\" makes inputs signs, ");
    ensure(Exit::job_file, inputs.calibration == InputQuantization::Calibration::dynamic, shared,
           "which have no range: leave \"range_calibration\" away");
    for (const InputGroup& group : inputs.by_modules)
      ensure(Exit::job_file, group.bits == 1, shared, "which are 1 bit, and a group has \"bits\" ", group.bits);
  }
}

void CompressConfig::check(const std::deque<Unit>& units) const {
  pruning.check(units);
  for (const WeightGroup& group : weights.by_modules) group.modules.check_used(units, "weight_quantization");
  for (const InputGroup& group : inputs.by_modules) group.modules.check_used(units, "activation_quantization");
  for (const Unit& unit : units)
    for (const Parameter* each : unit.parameters())
      if (const WeightGroup* group = weights.group_of(*each)) {
        weights.grid_of(*each);
        check_zero(*each, *group);
      }
}

// What is pruned must be zero as well where the forward sees it quantized.
void CompressConfig::check_zero(const Parameter& parameter, const WeightGroup& group) const {
  const bool kept = weights.symmetry == Symmetry::symmetric && group.target_bits > 1;
  ensure(Exit::job_file, kept || pruning.group_of(parameter) == nullptr, "\"compression_training\" prunes ",
         parameter.name, " and quantizes it with levels that need not contain 0 (",
         group.target_bits > 1 ? "\"quantization_type\": \"asymmetric\"" : "1 bit",
         "): use symmetric levels of at least 2 bits, or different modules");
}

std::uint64_t CompressConfig::settled_after() const {
  std::uint64_t updates = 0;
  for (const WeightGroup& group : weights.by_modules) {
    std::uint64_t until = weights.offset;
    for (std::size_t bits = group.start_bits; bits > group.target_bits; --bits)
      until = weights.offset + (group.period << (group.start_bits - bits));
    updates = std::max(updates, until);
  }
  if (inputs.enabled) updates = std::max<std::uint64_t>(updates, inputs.offset);
  return std::max(updates, pruning.settled_after());
}

}  // namespace tranche::compress
