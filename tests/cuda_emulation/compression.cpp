// Jobs that compress while they train, on emulated GPUs under mpirun: what each keeps beside the model lies on the
// device, and what decides on the host has it brought there.
#include "tests/cuda_emulation/on_gpus.h"

namespace tranche::testing {
namespace {

const std::string weights = "compression_training.weight_quantization.",
                  inputs = "compression_training.activation_quantization.",
                  pruning = "compression_training.sparse_pruning.";

class CompressionOnGpus : public OnEmulatedGpus {
 protected:
  const OnGpus resident{{.ranks = 2, .stage = 2}, "lazy"},
      away{{.ranks = 4, .stage = 3, .offload = Offload::slices_to_host}, "random:5"};

  // Whatever the ranks, the stage, the tier and the order of streams.
  void expect_the_same_bits_and_the_cpu_s_losses(const std::vector<std::string>& changes) {
    changes_ = changes;
    const std::string expected = digest_after({}, "alone");
    EXPECT_EQ(digest_after(resident, "resident"), expected);
    EXPECT_EQ(digest_after(away, "away"), expected);
    const std::vector<double> losses = this->losses("alone");
    run_.digest_after(steps, job(), {}, "on_cpu");
    ASSERT_EQ(losses.size(), steps);
    EXPECT_NEAR(losses.front(), run_.last().first_loss, 1e-4);
    EXPECT_NEAR(losses.back(), run_.last().loss, 1e-4);
  }
  void expect_as_promised(const std::vector<std::string>& changes) {
    expect_the_same_bits_and_the_cpu_s_losses(changes);
    expect_measured_as_planned(resident, "resident");
    expect_measured_as_planned(away, "away");
  }
  std::string teacher() {
    const SmallJob job{.micro_batches = micro_batches};
    run_.digest_after(2, job, {}, "teacher");
    return (run_.folder() / "teacher").string();
  }
};

const std::vector<std::string> int8_and_ternary_weights{
    weights + "shared_parameters.enabled=true", weights + "shared_parameters.schedule_offset=1",
    weights + "shared_parameters.group_columns=16",
    weights + R"(different_groups={"mlp": {"params": {"start_bits": 2, "target_bits": 2}, "modules": ["mlp"]},
                                   "rest": {"params": {"start_bits": 8, "target_bits": 8}}})"};
std::vector<std::string> with(std::vector<std::string> changes, const std::vector<std::string>& more) {
  changes.insert(changes.end(), more.begin(), more.end());
  return changes;
}

TEST_F(CompressionOnGpus, QuantizesWeightsAndInputsOverRangesThatItFollows) {
  expect_as_promised(with(
      int8_and_ternary_weights,
      {inputs + "shared_parameters.enabled=true", inputs + "shared_parameters.schedule_offset=1",
       inputs + "shared_parameters.quantization_type=asymmetric", inputs + "shared_parameters.range_calibration=static",
       inputs + R"(different_groups={"all": {"params": {"bits": 8}}})"}));
}

// The first steps are of masters that are brought to the host once, which no plan knows where they lie on the device.
TEST_F(CompressionOnGpus, LearnsStepSizes) {
  expect_the_same_bits_and_the_cpu_s_losses(
      with(int8_and_ternary_weights,
           {weights + "shared_parameters.learned_step_sizes=true", inputs + "shared_parameters.enabled=true",
            inputs + "shared_parameters.schedule_offset=2", inputs + "shared_parameters.range_calibration=static",
            inputs + "shared_parameters.learned_step_sizes=true",
            inputs + R"(different_groups={"all": {"params": {"bits": 8}}})"}));
  expect_measured_as_planned(away, "away");
}

std::vector<std::string> pruned_by(const char* method) {
  return {pruning + "shared_parameters.enabled=true", pruning + "shared_parameters.schedule_offset=1",
          pruning + "shared_parameters.method=" + method,
          pruning + R"(different_groups={"all": {"params": {"dense_ratio": 0.5, "l1_penalty": 0.001},
                                                 "modules": ["blocks"]}})"};
}
TEST_F(CompressionOnGpus, PrunesByMagnitude) { expect_as_promised(pruned_by("l1")); }
TEST_F(CompressionOnGpus, PrunesByMovement) { expect_as_promised(pruned_by("topk")); }

TEST_F(CompressionOnGpus, PrunesTwoOfFour) {
  expect_as_promised({pruning + "shared_parameters.enabled=true", pruning + "shared_parameters.schedule_offset=1",
                      pruning + "shared_parameters.block_pattern=2:4",
                      pruning + R"(different_groups={"all": {"params": {}, "modules": ["blocks"]}})"});
}

TEST_F(CompressionOnGpus, LearnsFromATeacherWhoseHiddenStatesAndRelationsTeachToo) {
  expect_as_promised({"distillation.teacher=" + teacher(), "model.n_layer=1", "distillation.alpha=0.7",
                      "distillation.hidden_states.pairs=[[0, 1]]", "distillation.hidden_states.distance=cosine",
                      "distillation.attention.pairs=[[0, 1]]"});
}

TEST_F(CompressionOnGpus, LearnsFromAPeer) {
  expect_as_promised({R"(distillation.peer={"model_type": "gpt2", "n_layer": 2, "n_head": 2, "n_embd": 32,
                                             "n_positions": 16, "vocab_size": 256})"});
}

TEST_F(CompressionOnGpus, LearnsFromItsOwnDepth) { expect_as_promised({"distillation.exits.blocks=[0]"}); }

}  // namespace
}  // namespace tranche::testing
