// The promise: the plan is what the run measures. Twelve jobs are planned and then run, with ranks as threads.
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <iostream>
#include <iterator>
#include <mutex>

#include "launcher/plan_explain.h"
#include "launcher/plan_text.h"
#include "launcher/store_logits.h"
#include "tests/launcher/planned.h"
#include "tests/launcher/program.h"
#include "tests/support/ranks.h"

namespace tranche::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::size_t one_host = 1024;

struct Case {
  Architecture architecture;
  Numbers numbers;
  std::size_t ranks, stage;
  bool recompute = false;
  std::vector<std::string> more{};
  Tier offload = Tier::device;
};

std::string name_of(const Case& c) {
  const char* numbers[] = {"float32", "bfloat16", "float16"};
  std::string name =
      str(c.architecture == Architecture::gpt2 ? "gpt2" : "llama", "_", numbers[static_cast<int>(c.numbers)], "_ranks",
          c.ranks, "_stage", c.stage, c.recompute ? "_recomputed" : "",
          c.offload == Tier::device ? "" : str("_to_", tranche::name_of(c.offload)));
  for (const std::string& each : c.more) name += "_" + each.substr(each.rfind('.') + 1);
  std::ranges::replace_if(
      name, [](unsigned char letter) { return std::isalnum(letter) == 0; }, '_');
  return name;
}

std::vector<std::string> changes_of(const Case& c) {
  const bool gpt2 = c.architecture == Architecture::gpt2;
  std::vector<std::string> changes{gpt2 ? "model.n_layer=4" : "model.num_hidden_layers=4",
                                   gpt2 ? "model.n_embd=64" : "model.hidden_size=64",
                                   str("zero_optimization.stage=", c.stage)};
  if (c.recompute) changes.emplace_back("activation_checkpointing.enabled=true");
  if (c.numbers == Numbers::float16) changes.emplace_back("fp16.initial_scale_power=8");  // no step is skipped
  changes.insert(changes.end(), c.more.begin(), c.more.end());
  return changes;
}

class PlanOfAJob : public ::testing::TestWithParam<Case> {
 protected:
  // docs/planner.md has these lines.
  static void TearDownTestSuite() {
    std::cout << "| job | memory |";
    for (std::size_t c = 0; c < category_count; ++c)
      std::cout << " " << tranche::name_of(static_cast<Category>(c)) << " |";
    std::cout << " total | collectives | bytes sent |\n|---|";
    for (std::size_t c = 0; c < category_count + 4; ++c) std::cout << "---|";
    std::cout << "\n" << lines_;
    lines_.clear();
  }
  static void note(const Case& c, const Plan& planned, const Plan& measured) {
    const auto cell = [](std::size_t plan, std::size_t run) {
      return plan == run ? str(" ", plan, " |") : str(" ", plan, " (ran: ", run, ") |");
    };
    const auto sum = [](const TrafficByOp& traffic) {
      Traffic all;
      for (const auto& [op, each] : traffic) all = {all.count + each.count, all.bytes + each.bytes};
      return all;
    };
    const Traffic plan = sum(planned.traffic), run = sum(measured.traffic);
    for (std::size_t m = 0; m < planned.memories.size(); ++m) {
      const PlannedMemory &mine = planned.memories[m], &ran = measured.memories.at(m);
      lines_ += str("| ", m == 0 ? name_of(c) : "", " | ", tranche::name_of(mine.tier), " |");
      for (std::size_t i = 0; i < category_count; ++i) lines_ += cell(mine.peaks[i], ran.peaks[i]);
      lines_ += cell(mine.peak, ran.peak);
      lines_ += (m == 0 ? cell(plan.count, run.count) + cell(plan.bytes, run.bytes) : "  |  |") + "\n";
    }
  }

  static inline std::string lines_;
};

TEST_P(PlanOfAJob, IsWhatItsRunMeasures) {
  const Case c = GetParam();
  SmallRun run;
  const std::filesystem::path file =
      run.write_job({.numbers = c.numbers, .architecture = c.architecture, .micro_batches = 8}, "planned");
  std::vector<std::string> changes = changes_of(c);
  const std::string offload = "zero_optimization.offload_optimizer.";
  if (c.offload != Tier::device) changes.push_back(offload + (c.offload == Tier::disk ? "device=nvme" : "device=cpu"));
  for (std::string& each : changes)
    if (each.ends_with("nvme_path=swap")) each = str(each.substr(0, each.size() - 4), (run.folder() / "swap").string());
  if (c.offload == Tier::disk) changes.push_back(str(offload, "nvme_path=", (run.folder() / "swap").string()));
  Job job{read_job(file, changes)};
  job.settle(c.ranks);
  const Plan planned = make_plan(job, one_host);
  EXPECT_GE(planned.steps, 2u);
  std::mutex mutex;
  on_ranks(c.ranks, [&](Communicator& world) {
    CpuDevice device, host{1, Device::unlimited, Sharing::nothing, Tier::host};
    SwapDisk disk{job.offload};
    const Plan measured = measure(job, planned.steps + 1, world, {device, host, disk});
    const std::lock_guard lock{mutex};
    if (world.rank() == 0) note(c, planned, measured);
    EXPECT_EQ(text_of(planned.memories), text_of(measured.memories)) << "rank " << world.rank();
    EXPECT_EQ(text_of(planned.traffic), text_of(measured.traffic)) << "rank " << world.rank();
    EXPECT_EQ(planned.disk, measured.disk) << "rank " << world.rank();
    EXPECT_EQ(planned.disk.read != 0, job.offload.uses_disk());
  });
}

constexpr auto gpt2 = Architecture::gpt2, llama = Architecture::llama;
constexpr auto float32 = Numbers::float32, bfloat16 = Numbers::bfloat16, float16 = Numbers::float16;

INSTANTIATE_TEST_SUITE_P(
    Twelve, PlanOfAJob,
    ::testing::Values(Case{gpt2, float32, 1, 0}, Case{llama, bfloat16, 1, 0, true, {}, Tier::disk},
                      Case{gpt2, bfloat16, 2, 0}, Case{llama, float32, 4, 0, true},
                      Case{gpt2, bfloat16, 4, 1, false, {}, Tier::host}, Case{llama, float16, 2, 1},
                      Case{gpt2, float32, 2, 2, true}, Case{llama, bfloat16, 4, 2, false, {}, Tier::disk},
                      Case{gpt2, bfloat16, 4, 3}, Case{llama, bfloat16, 2, 3, true, {}, Tier::host},
                      Case{gpt2, float16, 2, 3, true, {"zero_optimization.offload_param.device=nvme"}, Tier::disk},
                      Case{llama, float32, 4, 3, false, {"zero_optimization.offload_param.device=cpu"}, Tier::host}),
    [](const auto& param) { return name_of(param.param); });

INSTANTIATE_TEST_SUITE_P(
    Others, PlanOfAJob,
    ::testing::Values(Case{gpt2, bfloat16, 2, 3, false, {"zero_optimization.overlap_comm=false"}},
                      Case{llama, bfloat16, 2, 2, false, {"zero_optimization.overlap_comm=true"}},
                      Case{gpt2, bfloat16, 4, 3, false, {"zero_optimization.stage3_prefetch_bucket_size=9000"}},
                      Case{gpt2, bfloat16, 2, 1, false, {"reduction_block=2"}},
                      Case{llama, bfloat16, 2, 3, false, {"model.tie_word_embeddings=false"}},
                      Case{gpt2, bfloat16, 1, 0, false, {"zero_optimization.offload_optimizer.ratio=0.5"}, Tier::host},
                      Case{gpt2, bfloat16, 2, 2, false, {"checkpoint.asynchronous=true"}},
                      Case{gpt2, bfloat16, 2, 2, true, {"activation_checkpointing.cpu_checkpointing=true"}},
                      Case{llama, float32, 2, 3, true, {"activation_checkpointing.nvme_path=swap"}},
                      Case{gpt2, bfloat16, 2, 3, true, {"activation_checkpointing.cpu_checkpointing=true"}, Tier::disk},
                      Case{llama, bfloat16, 2, 3, false, {"checkpoint.asynchronous=true"}, Tier::disk},
                      Case{gpt2, float32, 2, 0, false, {"optimizer.type=SGD", "optimizer.params={\"lr\": 0.01}"}}),
    [](const auto& param) { return name_of(param.param); });

const std::string weights = "compression_training.weight_quantization.",
                  inputs = "compression_training.activation_quantization.";
const std::vector<std::string> quantized{
    weights + "shared_parameters.enabled=true",
    weights + R"(different_groups={"all": {"params": {"start_bits": 4, "target_bits": 4}}})",
    inputs + "shared_parameters.enabled=true",
    inputs + "shared_parameters.schedule_offset=0",
    inputs + "shared_parameters.range_calibration=static",
    inputs + R"(different_groups={"all": {"params": {"bits": 8}}})"};

std::vector<std::string> with_learned_steps() {
  std::vector<std::string> changes = quantized;
  changes.push_back(weights + "shared_parameters.learned_step_sizes=true");
  changes.push_back(weights + "shared_parameters.group_columns=32");
  return changes;
}

std::vector<std::string> with_learned_input_steps() {
  std::vector<std::string> changes = quantized;
  changes.push_back(inputs + "shared_parameters.schedule_offset=2");
  changes.push_back(inputs + "shared_parameters.learned_step_sizes=true");
  return changes;
}

// Of linears alone. scaled: XNOR-Net; plain, with learned scales: XNOR-Net++.
std::vector<std::string> of_signs(const std::string& signs, bool learned) {
  const std::string modules = R"(, "modules": ["attention", "mlp"]}})";
  return {weights + "shared_parameters.enabled=true",
          weights + "shared_parameters.group_columns=100000",
          weights + "shared_parameters.learned_step_sizes=" + (learned ? "true" : "false"),
          weights + R"(different_groups={"all": {"params": {"start_bits": 1, "target_bits": 1})" + modules,
          inputs + "shared_parameters.enabled=true",
          inputs + "shared_parameters.schedule_offset=0",
          inputs + R"(different_groups={"all": {"params": {"bits": 1})" + modules,
          inputs + "shared_parameters.signs=" + signs};
}

INSTANTIATE_TEST_SUITE_P(QuantizationAware, PlanOfAJob,
                         ::testing::Values(Case{gpt2, bfloat16, 2, 3, true, with_learned_input_steps()},
                                           Case{llama, float32, 4, 1, false, with_learned_input_steps()},
                                           Case{gpt2, bfloat16, 2, 3, true, of_signs("plain", true)},
                                           Case{llama, bfloat16, 4, 2, false, of_signs("scaled", false)},
                                           Case{gpt2, float32, 1, 0, false, of_signs("scaled", false)},
                                           Case{gpt2, bfloat16, 2, 3, true, with_learned_steps()},
                                           Case{gpt2, bfloat16, 2, 3, false, quantized},
                                           Case{llama, float32, 4, 3, true, quantized},
                                           Case{gpt2, float32, 1, 0, false, quantized}),
                         [](const auto& param) { return name_of(param.param); });

// The first masks come within the steps that both sides look at.
const std::string pruning = "compression_training.sparse_pruning.";
std::vector<std::string> pruned(const std::string& how) {
  return {pruning + "shared_parameters.enabled=true", pruning + "shared_parameters.schedule_offset=1",
          pruning + "shared_parameters." + how,
          pruning + R"(different_groups={"all": {"params": {"dense_ratio": 0.5}}})"};
}

INSTANTIATE_TEST_SUITE_P(Pruned, PlanOfAJob,
                         ::testing::Values(Case{gpt2, bfloat16, 2, 3, false, pruned("scope=global")},
                                           Case{llama, float32, 4, 1, false, pruned("scope=layer"), Tier::disk},
                                           Case{gpt2, bfloat16, 2, 2, false, pruned("block_pattern=2:4"), Tier::host},
                                           Case{gpt2, float32, 2, 1, false, pruned("method=topk")},
                                           Case{llama, bfloat16, 4, 3, true, pruned("rewinding.rounds=2"), Tier::disk},
                                           Case{gpt2, float32, 1, 0, false, pruned("scope=layer")}),
                         [](const auto& param) { return name_of(param.param); });

// The mask is one moment of each owned element; so are scores, and weights to rewind to.
TEST(PlanOfPruning, CountsTheMask) {
  SmallRun run;
  const std::filesystem::path file = run.write_job({.micro_batches = 8}, "planned");
  const auto optimizer_bytes = [&](std::size_t ranks, std::vector<std::string> changes) {
    changes.emplace_back("zero_optimization.stage=1");
    Job job{read_job(file, changes)};
    job.settle(ranks);
    return make_plan(job, one_host).device().peaks[static_cast<std::size_t>(Category::optimizer)];
  };
  for (const std::size_t ranks : {1u, 4u}) {
    EXPECT_EQ(2 * optimizer_bytes(ranks, pruned("scope=layer")), 3 * optimizer_bytes(ranks, {})) << ranks;
    for (const char* how : {"method=topk", "rewinding.rounds=2"})
      EXPECT_EQ(2 * optimizer_bytes(ranks, pruned(how)), 4 * optimizer_bytes(ranks, {})) << ranks << " " << how;
  }
}

void expect_planned(const Job& job, std::size_t ranks) {
  const Plan planned = make_plan(job, one_host);
  on_ranks(ranks, [&](Communicator& world) {
    CpuDevice device, host{1, Device::unlimited, Sharing::nothing, Tier::host};
    SwapDisk disk{job.offload};
    const Plan measured = measure(job, planned.steps + 1, world, {device, host, disk});
    EXPECT_EQ(text_of(planned.memories), text_of(measured.memories)) << "rank " << world.rank();
    EXPECT_EQ(text_of(planned.traffic), text_of(measured.traffic)) << "rank " << world.rank();
  });
}

// Another run's checkpoint teaches; it is loaded before the first step, on both sides of the comparison alike.
class PlanOfAStudent : public ::testing::TestWithParam<std::pair<std::size_t, std::vector<std::string>>> {};

TEST_P(PlanOfAStudent, IsWhatItsRunMeasures) {
  const auto& [ranks, more] = GetParam();
  SmallRun run;
  run.digest_after(1, {.numbers = bfloat16}, {}, "teacher");
  std::vector<std::string> changes{"distillation.teacher=" + (run.folder() / "teacher").string(), "model.n_layer=1",
                                   "zero_optimization.stage=3"};
  for (std::string change : more) {
    for (std::size_t at; (at = change.find("TEACHER")) != std::string::npos;)
      change.replace(at, 7, (run.folder() / "teacher").string());
    changes.push_back(change);
  }
  Job job{read_job(run.write_job({.numbers = bfloat16, .micro_batches = 8}, "planned"), changes)};
  job.settle(ranks);
  expect_planned(job, ranks);
}
INSTANTIATE_TEST_SUITE_P(
    Teachers, PlanOfAStudent,
    ::testing::Values(
        std::pair{2, std::vector<std::string>{}}, std::pair{4, std::vector<std::string>{"distillation.offload=cpu"}},
        std::pair{2,
                  std::vector<std::string>{"distillation.precision=float32", "activation_checkpointing.enabled=true"}},
        std::pair{2, std::vector<std::string>{R"(distillation.teacher=["TEACHER", "TEACHER"])"}},
        std::pair{2, std::vector<std::string>{"distillation.hidden_states.pairs=[[0, 1]]",
                                              "distillation.hidden_states.distance=cosine"}},
        std::pair{2, std::vector<std::string>{"distillation.hidden_states.pairs=[[0, 0]]",
                                              "activation_checkpointing.enabled=true"}},
        std::pair{4, std::vector<std::string>{"distillation.hidden_states.pairs=[[0, 0], [0, 1]]",
                                              "distillation.hidden_states.projection=true", "model.n_embd=48"}},
        std::pair{2, std::vector<std::string>{"distillation.attention.pairs=[[0, 0], [0, 1]]"}},
        std::pair{2, std::vector<std::string>{"distillation.attention.pairs=[[0, 1]]",
                                              "activation_checkpointing.enabled=true"}},
        std::pair{2, std::vector<std::string>{"distillation.exits.blocks=[0]", "model.n_layer=2",
                                              "activation_checkpointing.enabled=true"}},
        std::pair{4, std::vector<std::string>{"distillation.teacher=null", R"(distillation.peer={
                          "model_type": "gpt2", "n_layer": 1, "n_head": 2, "n_embd": 24, "n_positions": 16,
                          "vocab_size": 256})"}},
        std::pair{2, std::vector<std::string>{"distillation.relations.pairs=[[0, 1]]", "train_batch_size=24",
                                              "train_micro_batch_size_per_gpu=3"}},
        std::pair{1, std::vector<std::string>{"zero_optimization.stage=0"}}));

TEST(APlan, OfAStudentThatReadsWhatItsTeacherSaidIsWhatItsRunMeasures) {
  SmallRun run;
  run.digest_after(1, {.numbers = bfloat16}, {}, "teacher");
  const std::string teacher = (run.folder() / "teacher").string(), logits = (run.folder() / "logits").string();
  const auto job_with = [&](std::vector<std::string> changes) {
    changes.emplace_back("zero_optimization.stage=3");
    auto job =
        std::make_unique<Job>(read_job(run.write_job({.numbers = bfloat16, .micro_batches = 8}, "job"), changes));
    job->settle(2);
    return job;
  };
  const std::unique_ptr<Job> online = job_with({"distillation.teacher=" + teacher});
  on_ranks(2, [&](Communicator& world) {
    CpuDevice device, host{1, Device::unlimited, Sharing::nothing, Tier::host};
    SwapDisk disk{online->offload};
    store_logits(*online, TokenFile{online->data.train}, 8, logits, world, {device, host, disk});
  });
  expect_planned(*job_with({"distillation.stored_logits=" + logits}), 2);
}

// Llama 2 7B.
constexpr const char* seven_billion = R"({
  "model": {"model_type": "llama", "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32,
            "hidden_size": 4096, "intermediate_size": 11008, "max_position_embeddings": 4096, "vocab_size": 32000,
            "tie_word_embeddings": false},
  "data": {"train": "nowhere.h5", "sequence_length": 4096},
  "steps": 10, "train_batch_size": 64, "train_micro_batch_size_per_gpu": 1, "bf16": {"enabled": true},
  "optimizer": {"type": "AdamW", "params": {"lr": 1e-4}}, "zero_optimization": {"stage": 3}
})";

std::size_t most_resident_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

TEST(APlan, OfSevenBillionParametersTakesNoMemory) {
  const TemporaryFolder folder;
  Job job{read_job(folder.write("job.json", seven_billion), {})};
  job.settle(8);
  const std::size_t before = most_resident_bytes();
  const Plan plan = make_plan(job, one_host);
  EXPECT_LT(most_resident_bytes() - before, std::size_t{64} << 20);
  // 12 of 16 bytes for each parameter, divided by eight ranks.
  const double optimizer = static_cast<double>(plan.device().peaks[static_cast<std::size_t>(Category::optimizer)]);
  EXPECT_NEAR(optimizer, 6738415616.0 * 12 / 8, 0.001 * optimizer);
}

TEST(APlan, SaysWhenThePeakComes) {
  const TemporaryFolder folder;
  Job job{read_job(folder.write("job.json", seven_billion), {"zero_optimization.offload_optimizer.device=cpu"})};
  job.settle(8);
  const Plan plan = make_plan(job, one_host);
  EXPECT_THAT(plan.device().moment, HasSubstr("computing the backward of "));
  EXPECT_NE(plan.memories[1].moment, "");
}

TEST(APlan, SaysForWhichDeviceItIs) {
  const TemporaryFolder folder;
  const std::string file = folder.write("job.json", seven_billion).string();
  const auto planned = [&](const char* type) {
    auto job = std::make_unique<Job>(read_job(file, {str("device.type=", type)}));
    job->settle(8);
    return job;
  };
  EXPECT_THAT(describe(*planned("cpu")), AllOf(Not(HasSubstr("CPU")), Not(HasSubstr("GPU"))));
  EXPECT_THAT(describe(*planned("cuda")), HasSubstr(", on GPUs"));
  EXPECT_THAT(describe(*planned("auto")), HasSubstr("on the CPU (device.type is auto: --set device.type=cuda plans"));
  EXPECT_EQ(text_of(make_plan(*planned("auto"), one_host).memories),
            text_of(make_plan(*planned("cpu"), one_host).memories));
}

// A micro-batch, and partial sums of the norm, 8 bytes for each 1,024 elements of all ranks.
TEST(APlan, OfGpusCountsInHostMemoryWhatPassesThroughIt) {
  const TemporaryFolder folder;
  Job job{read_job(folder.write("job.json", seven_billion), {"device.type=cuda"})};
  job.settle(8);
  const Plan plan = make_plan(job, one_host);
  ASSERT_EQ(plan.memories.size(), 2u);
  const auto held = [&](Category category) { return plan.memories[1].peaks[static_cast<std::size_t>(category)]; };
  EXPECT_EQ(plan.memories[1].tier, Tier::host);
  EXPECT_EQ(held(Category::activations),
            2 * job.batch.micro_batch_size * job.data.sequence_length * sizeof(std::int32_t));
  EXPECT_NEAR(static_cast<double>(held(Category::communication)), 6738415616.0 / 1024 * sizeof(double), 1e5);
  EXPECT_EQ(held(Category::optimizer), 0u);
}

TEST(APlan, HasEveryStageByEveryTierAsThatJobsPlan) {
  const TemporaryFolder folder;
  const std::string file = folder.write("job.json", seven_billion).string();
  Job job{read_job(file, {"device.memory=32GiB"})};
  job.settle(8);
  const std::vector<ChoiceRow> rows = plan_choices(job, one_host);
  ASSERT_EQ(rows.size(), 4u * 3 + 2);
  std::size_t fit = 0;
  for (const ChoiceRow& row : rows)
    for (const Plan* plan : {&row.kept, &row.recomputed}) {
      Choice choice = row.choice;
      choice.recompute = plan == &row.recomputed;
      std::vector<std::string> overrides = changes(job, choice);
      overrides.emplace_back("device.memory=32GiB");
      Job changed{read_job(file, overrides)};
      changed.settle(8);
      EXPECT_EQ(changed.zero.stage, row.choice.stage);
      EXPECT_EQ(changed.offload.optimizer, row.choice.optimizer);
      EXPECT_EQ(changed.offload.parameters, row.choice.parameters);
      EXPECT_EQ(text_of(make_plan(changed, one_host).memories), text_of(plan->memories));
      fit += plan->fits();
    }
  EXPECT_GT(fit, 0u);
  EXPECT_LT(fit, 2 * rows.size());
}

TEST(APlan, OfAHostThatIsTooSmallFindsTheDisk) {
  const TemporaryFolder folder;
  Job job{read_job(folder.write("job.json", seven_billion), {"device.memory=40GiB", "device.host_memory=8GiB",
                                                             "zero_optimization.offload_optimizer.device=cpu"})};
  job.settle(8);
  EXPECT_FALSE(make_plan(job, one_host).fits());
  const std::string lines = remedy_lines(find_remedies(job, one_host), job);
  EXPECT_THAT(lines, AllOf(HasSubstr("What fits in 40.00 GiB and 8.00 GiB of the host:"),
                           HasSubstr("--set zero_optimization.offload_optimizer.device=nvme --set "
                                     "zero_optimization.offload_optimizer.nvme_path=PATH")));
}

// The formulas are beside the plan, not in it: where one is closed, it comes to what was counted.
TEST(APlan, IsExplainedByFormulasThatComeToTheSame) {
  const TemporaryFolder folder;
  for (const char* stage : {"0", "1", "2", "3"}) {
    Job job{read_job(folder.write("job.json", seven_billion), {std::string{"zero_optimization.stage="} + stage})};
    job.settle(8);
    std::istringstream lines{explain(job, make_plan(job, one_host))};
    std::size_t closed = 0;
    for (std::string line; std::getline(lines, line);) {
      const std::size_t value = line.rfind(" = ");
      if (value == line.npos || line.starts_with("Where")) continue;
      ++closed;
      std::istringstream words{line.substr(2)};
      std::vector<std::string> word{std::istream_iterator<std::string>{words}, {}};
      const auto figure = std::ranges::find_if(word, [](const std::string& each) { return each.ends_with("iB"); });
      ASSERT_NE(figure, word.end()) << line;
      std::istringstream derived{line.substr(value + 3)};
      double amount = 0;
      std::string unit;
      derived >> amount >> unit;
      EXPECT_EQ(unit, *figure) << line;
      EXPECT_NEAR(amount, std::stod(*(figure - 1)), 0.02 * amount) << line;
    }
    EXPECT_GE(closed, 4u) << stage;
  }
}

TEST(APlan, OfAJobThatDoesNotFitSaysWhatDoes) {
  const TemporaryFolder folder;
  Job job{read_job(folder.write("job.json", seven_billion), {"device.memory=80GiB"})};
  job.settle(1);
  EXPECT_FALSE(make_plan(job, one_host).fits());
  const std::vector<Remedy> remedies = find_remedies(job, one_host);
  ASSERT_FALSE(remedies.empty());
  for (const Remedy& remedy : remedies) {
    std::vector<std::string> overrides = remedy.overrides;
    overrides.emplace_back("device.memory=80GiB");
    Job changed{read_job(folder.path() / "job.json", overrides)};
    changed.settle(remedy.ranks);
    const Plan plan = make_plan(changed, one_host);
    EXPECT_TRUE(plan.fits()) << remedy_lines({&remedy, 1}, job);
    EXPECT_EQ(plan.device().peak, remedy.plan.device().peak);
  }
}

class PlanCommand : public Program {};

TEST_F(PlanCommand, PrintsEveryCategoryAndCollectiveForEachNumberOfRanks) {
  write_job();
  const Result result = run("plan job.json --ranks 1,2 --set zero_optimization.stage=3");
  EXPECT_EQ(result.exit, 0) << result.errors;
  for (std::size_t c = 0; c < category_count; ++c)
    EXPECT_THAT(result.output, HasSubstr(tranche::name_of(static_cast<Category>(c))));
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("\n  1      device"), HasSubstr("\n  2      device"), HasSubstr("\n  2      all_gather"),
                    HasSubstr("\n  2      exchange"), Not(HasSubstr("fit"))));
  EXPECT_EQ(files(), 1u) << "a plan writes nothing";
}

TEST_F(PlanCommand, TellsMomentsStorageChoicesAndWhereFiguresComeFrom) {
  write_job();
  const Result result =
      run("plan job.json --ranks 2 --set zero_optimization.offload_optimizer.device=nvme --set "
          "zero_optimization.offload_optimizer.nvme_path=swap --explain --device-memory 500KiB");
  EXPECT_EQ(result.exit, 0) << result.output;
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("The peaks come while\n  2 ranks, device: "), HasSubstr("Each of 2 ranks reads "),
                    HasSubstr("A checkpoint has "), HasSubstr("Where the figures come from, 2 ranks"),
                    HasSubstr("masters and moments"), HasSubstr("Stages and tiers on 2 ranks"), HasSubstr("  fits")));
  EXPECT_EQ(files(), 1u);
}

TEST_F(PlanCommand, KnowsTheSizeOfACheckpoint) {
  ASSERT_EQ(shell("printf '%5000s' > text.txt").exit, 0);
  ASSERT_EQ(run("tokenize --tokenizer byte --output train.h5 text.txt").exit, 0);
  write_job();
  const std::string wide = " job.json --set model.n_embd=256 ";
  ASSERT_EQ(run("train" + wide).exit, 0);
  std::uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator{folder.path() / "runs/job/step-000002"})
    bytes += std::filesystem::file_size(entry.path());
  Job job{read_job(folder.path() / "job.json", {"model.n_embd=256"})};
  job.settle(1);
  const CheckpointSize planned = make_plan(job, 1).checkpoint;
  EXPECT_NEAR(static_cast<double>(bytes), static_cast<double>(planned.whole), 0.02 * static_cast<double>(bytes));
}

TEST_F(PlanCommand, SaysWhatFitsAndEndsAsOutOfMemory) {
  write_job();
  const Result whole = run("plan job.json --device-memory 10MiB");
  EXPECT_EQ(whole.exit, 0);
  EXPECT_THAT(whole.output, AllOf(HasSubstr("  fits in 10.00 MiB\n"), Not(HasSubstr("What fits"))));
  const Result result = run("plan job.json --device-memory 600KiB --ranks 2");
  EXPECT_EQ(result.exit, 6);
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("  exceeds 600.00 KiB\n"), HasSubstr("What fits in 600.00 KiB:\n  2 ranks --set "
                                                                   "zero_optimization.stage=")));
  const Result nothing = run("plan job.json --device-memory 20KiB");
  EXPECT_EQ(nothing.exit, 6);
  EXPECT_THAT(nothing.output, HasSubstr("Neither higher stages nor recomputation nor offload nor more ranks"));
}

TEST_F(PlanCommand, RefusesRanksThatTheBatchCannotBeDealtOutTo) {
  write_job();
  EXPECT_EQ(run("plan job.json --ranks 3").exit, 3);
  EXPECT_EQ(run("plan job.json --ranks 0").exit, 2);
}

}  // namespace
}  // namespace tranche::testing
