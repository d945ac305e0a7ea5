#include "runtime/train/config.h"

#include <string>

#include "runtime/base/settings.h"

namespace tranche {

void TrainConfig::declare(Section& job) {
  job.key("steps", steps)
      .required()
      .at_least(1)
      .may_change()
      .about("Training steps in all; a resumed run goes on to this many.");
  job.key("seed", seed).about("Of every random number: initial weights, order of the data, dropout.");
  job.key("train_batch_size", train_batch_size)
      .at_least(1)
      .about(
          "Samples of one step, over all ranks: "
          "`train_micro_batch_size_per_gpu` times the number M of the step's micro-batches. M must be a multiple of "
          "the number of ranks.");
  job.key("train_micro_batch_size_per_gpu", micro_batch_size)
      .at_least(1)
      .about(
          "Samples that pass through the model together. "
          "Give it and `train_batch_size`: then the numbers do not depend on the number of ranks.");
  job.key("gradient_accumulation_steps", accumulation)
      .at_least(1)
      .may_change()
      .about(
          "M divided by the number of ranks; it follows from "
          "the two above, and must agree if it is given as well. With only one of them it fixes the other at the first "
          "start, and a resumed run keeps that.");
  job.choice<Reduction>("reduction", reduction, {{"canonical", Reduction::canonical}, {"fast", Reduction::fast}})
      .about(
          "How gradients of ranks are summed. canonical: in the order of micro-batches, the same bits on any number of "
          "ranks. fast: where collectives go by NCCL, by NCCL, in its order and rounded to the gradients' type: the "
          "bits "
          "then depend on the number of ranks. Elsewhere the order stays canonical.");
  job.key("reduction_block", reduction_block)
      .at_least(1)
      .about(
          "So many consecutive micro-batches are summed on one rank before ranks are summed, which communicates less "
          "often. Part of the numbers. "
          "Above 1 at stages 0 and 1 only.");
  job.key("gradient_clipping", gradient_clipping)
      .at_least(0.0)
      .about("Gradients are scaled so that their norm is at most this; 0: never.");
  job.key("steps_per_print", steps_per_print)
      .at_least(1)
      .may_change()
      .about("Steps between lines on a standard error that is no terminal.");
}

void TrainConfig::declare_activations(Section& activations) {
  activations.all_may_change();
  activations.key("enabled", recompute)
      .about("Whether each unit keeps only its input. DeepSpeed leaves this to the model's code, so this key is ours.");
  activations.not_yet("partition_activations", false, "activations divided among ranks");
  activations.no_effect("contiguous_memory_optimization", false, "memory is kept from step to step already");
  activations.no_effect("number_checkpoints", nullptr, "each unit of the model is one checkpoint");
  activations.no_effect("synchronize_checkpoint_boundary", false, "there is nothing to wait for");
  activations.no_effect("profile", false, "the trace shows recomputation");
}

void TrainConfig::declare_integrity(Section& section) {
  section.all_may_change();
  section.key("enabled", integrity)
      .about(
          "Whether what a rank owns (masters and moments, in memory or on disk) is summed as each update leaves it, "
          "and compared with what the next one, or a checkpoint, finds. A difference ends the run with code 13.");
  section.key("compare_every", compare_every)
      .about(
          "Updates between comparisons of the parameters that ranks compute with and the checksums their owners made; "
          "0: never.");
}

namespace {

std::string ranks_that_divide(std::size_t blocks) {
  std::string text;
  for (std::size_t ranks = 1; ranks <= blocks; ++ranks)
    if (blocks % ranks == 0) text += str(text.empty() ? "" : ", ", ranks);
  return text;
}

}  // namespace

BatchPlan plan_batch(const TrainConfig& config, std::size_t ranks, const std::string& place) {
  const std::optional<std::size_t>&total = config.train_batch_size, &micro = config.micro_batch_size,
        &accumulation = config.accumulation;
  ensure(Exit::job_file, total || micro, place,
         "\"train_batch_size\" is missing: the samples of one step, over all ranks; give also ",
         "\"train_micro_batch_size_per_gpu\"");
  BatchPlan plan;
  plan.deal = {.micro_batches = accumulation.value_or(1) * ranks, .ranks = ranks, .block = config.reduction_block};
  if (micro) {
    plan.micro_batch_size = *micro;
    if (total) {
      ensure(Exit::job_file, *total % *micro == 0, place, "\"train_batch_size\", ", *total, ", is not a multiple of ",
             "\"train_micro_batch_size_per_gpu\", ", *micro);
      plan.deal.micro_batches = *total / *micro;
      ensure(Exit::job_file, !accumulation || *total == *micro * *accumulation * ranks, place,
             "\"train_batch_size\" is ", *total, ", but \"train_micro_batch_size_per_gpu\" ", *micro,
             " x \"gradient_accumulation_steps\" ", accumulation.value_or(0), " x ", ranks, " ranks is ",
             *micro * accumulation.value_or(0) * ranks,
             "; leave out gradient_accumulation_steps, which follows from the others");
    }
  } else {
    ensure(Exit::job_file, *total % plan.deal.micro_batches == 0, place, "\"train_batch_size\", ", *total,
           ", is not a multiple of ", ranks, " ranks",
           accumulation ? str(" x \"gradient_accumulation_steps\" ", *accumulation) : "",
           "; give \"train_micro_batch_size_per_gpu\"");
    plan.micro_batch_size = *total / plan.deal.micro_batches;
  }
  const std::size_t micro_batches = plan.deal.micro_batches, block = config.reduction_block;
  ensure(Exit::job_file, micro_batches % block == 0, place, "the ", micro_batches,
         " micro-batches of a step are not a multiple of ", "\"reduction_block\", ", block);
  ensure(Exit::job_file, micro_batches % (ranks * block) == 0, place, "the ", micro_batches,
         " micro-batches of a step (", plan.samples(), " samples, ", plan.micro_batch_size, " at a time",
         block > 1 ? str(", in blocks of ", block) : "", ") cannot be dealt out equally to ", ranks,
         " ranks; numbers of ranks that work: ", ranks_that_divide(micro_batches / block));
  return plan;
}

}  // namespace tranche
