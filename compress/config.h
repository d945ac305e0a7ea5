// What a job file says about compression during training: DeepSpeed's section `compression_training`.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "compress/groups.h"
#include "compress/pruning_config.h"
#include "compress/range.h"
#include "runtime/base/settings.h"
#include "runtime/ops/fake_quantize.h"

namespace tranche {

namespace compress {

struct WeightGroup {
  Modules modules{};
  std::size_t start_bits = 8, target_bits = 8;
  // Updates with start_bits; each further bit fewer lasts twice as long as the one before, down to target_bits.
  std::size_t period = 1;

  unsigned bits_after(std::uint64_t updates) const;  // updates: since the offset
};

struct WeightQuantization {
  bool enabled = false;
  std::size_t offset = 0;                      // updates before it begins
  std::size_t groups = 1;                      // of a tensor's elements, one after another, that share a scale
  std::optional<std::size_t> group_columns{};  // in place of `groups`
  Symmetry symmetry = Symmetry::symmetric;
  bool learned_steps = false;  // in place of steps that follow from the weights (compress/step_sizes.h)
  std::vector<WeightGroup> by_modules{};

  const WeightGroup* group_of(const Parameter& parameter) const;  // the first that contains it; null: none
  ops::QuantizationGrid grid_of(const Parameter& parameter) const;
  ops::FakeForm form_of(unsigned bits) const;
};

struct InputGroup {
  Modules modules{};
  std::size_t bits = 8;
};

struct InputQuantization {
  bool enabled = false;
  std::size_t offset = 1000;
  Symmetry symmetry = Symmetry::symmetric;
  enum class Calibration : std::uint8_t { dynamic, fixed };  // of each token anew, or a range of all that came before
  Calibration calibration = Calibration::dynamic;
  enum class Signs : std::uint8_t {
    none,
    plain,
    scaled
  };  // in place of levels; scaled: by each token's mean magnitude
  Signs signs = Signs::none;
  bool learned_steps = false;  // in place of a range that is only followed until then (compress/input_steps.h)
  std::vector<InputGroup> by_modules{};

  const InputGroup* group_of(const Parameter& weight) const;  // of what this weight multiplies
};

struct CompressConfig {
  WeightQuantization weights;
  InputQuantization inputs;
  PruningConfig pruning;

  void declare(Section& compression_training);
  // Reads the groups, once everything is loaded. Throws Exit::job_file for what they cannot say.
  void complete(const Source& source);
  // Throws Exit::job_file if a group contains no weight of these units, or a weight cannot be divided as it asks.
  void check(const std::deque<Unit>& units) const;
  // Updates after which no schedule changes anything: what a plan looks at.
  std::uint64_t settled_after() const;

 private:
  void check_zero(const Parameter& parameter, const WeightGroup& group) const;

  Json weight_groups_ = Json::object(), input_groups_ = Json::object();
};

}  // namespace compress
}  // namespace tranche
