#include "tests/support/small_job.h"

#include <fstream>

#include "runtime/base/random.h"
#include "runtime/data/data.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/train/batches.h"
#include "runtime/train/loop.h"
#include "tests/support/ranks.h"

namespace tranche::testing {
namespace {

// Bytes with something to learn: words of a small vocabulary in a random order.
std::string some_text() {
  const char* words[] = {"the ", "tranche ", "holds ", "its ", "share ", "of ", "every ", "unit, ", "and ", "sums. "};
  const RandomKey key{7, Purpose::order};
  std::string text;
  for (std::uint64_t i = 0; i < 4000; ++i) text += words[key.number(i) % std::size(words)];
  return text;
}

const char* model_text(Architecture architecture) {
  if (architecture == Architecture::gpt2)
    return R"({"model_type": "gpt2", "n_layer": 2, "n_head": 2, "n_embd": 32, "n_positions": 16, "vocab_size": 256,
               "embd_pdrop": 0.1, "attn_pdrop": 0.1, "resid_pdrop": 0.1})";
  return R"({"model_type": "llama", "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
             "hidden_size": 32, "intermediate_size": 48, "max_position_embeddings": 16, "vocab_size": 256,
             "tie_word_embeddings": true})";
}

const char* numbers_text(Numbers numbers) {
  switch (numbers) {
    case Numbers::bfloat16: return R"("bf16": {"enabled": true},)";
    // So high that the first steps overflow; so short a window that it grows again within a few steps.
    case Numbers::float16:
      return R"("fp16": {"enabled": true, "initial_scale_power": 26, "loss_scale_window": 4, "hysteresis": 1},)";
    default: return "";
  }
}

}  // namespace

std::string name_of(const Arrangement& a) {
  return str(a.ranks, " ranks, stage ", a.stage, ", bucket ", a.bucket, a.recompute ? ", recomputing" : "", ", ",
             a.threads, " threads, offload ", static_cast<int>(a.offload));
}

SmallRun::SmallRun() {
  const std::filesystem::path text = folder_.write("text.txt", some_text());
  const auto tokenizer = open_tokenizer("byte");
  tokenize_files(*tokenizer, std::vector{text}, folder() / "train.h5");
}

std::filesystem::path SmallRun::write_job(const SmallJob& job, const std::string& directory) {
  return folder_.write(
      directory + ".json",
      str(R"({"model": )", model_text(job.architecture), R"(, "data": {"train": ")", (folder() / "train.h5").string(),
          R"(", "sequence_length": 16}, "steps": 1000000, "seed": 5, "train_batch_size": )", 2 * job.micro_batches,
          R"(, "train_micro_batch_size_per_gpu": 2, )", numbers_text(job.numbers),
          R"("optimizer": {"type": "AdamW", "params": {"lr": 3e-3, "weight_decay": 0.1}},
              "scheduler": {"type": "WarmupLR", "params": {"warmup_num_steps": 5}}, "gradient_clipping": 0.5,
              "checkpoint": {"directory": ")",
          (folder() / directory).string(), R"("}})"));
}

std::vector<std::string> SmallRun::overrides(const Arrangement& a) const {
  std::vector<std::string> changes{
      str("zero_optimization.stage=", a.stage), str("zero_optimization.stage3_prefetch_bucket_size=", a.bucket),
      str("zero_optimization.reduce_bucket_size=", a.bucket),
      str("activation_checkpointing.enabled=", a.recompute ? "true" : "false"), str("device.threads=", a.threads)};
  const std::string offload = "zero_optimization.offload_optimizer.";
  if (a.offload == Offload::nothing) return changes;
  const bool to_disk = a.offload == Offload::to_disk || a.offload == Offload::slices_to_disk,
             slices = a.offload == Offload::slices_to_host || a.offload == Offload::slices_to_disk;
  const std::string device = to_disk ? "device=nvme" : "device=cpu";
  changes.push_back(offload + device);
  if (slices && a.stage == 3) changes.push_back("zero_optimization.offload_param." + device);
  if (!to_disk && a.offload != Offload::partly_to_host) return changes;
  changes.push_back("zero_optimization.sub_group_size=2048");
  if (to_disk) {
    changes.push_back(str(offload, "nvme_path=", (folder() / "swap").string()));
    changes.push_back("aio.block_size=4096");
  } else {
    changes.push_back(offload + "ratio=0.4");
    changes.push_back(offload + "buffer_count=2");
  }
  return changes;
}

SmallRun::Last train_small(const std::filesystem::path& file, const std::vector<std::string>& overrides,
                           std::size_t steps, Communicator& world) {
  Job job{read_job(file, overrides)};
  const bool resumes = !checkpoint::step_folders(job.directory()).empty();
  world.barrier("before anything is written");
  if (resumes) {
    const auto newest = checkpoint::find_newest_complete(job.directory());
    job.resume(world.size(), checkpoint::read_manifest(*newest.folder).state.job, newest.folder->string());
  } else {
    job.settle(world.size());
  }
  const std::size_t threads = std::max<std::size_t>(job.device.threads, 1);
  CpuDevice device{threads, job.device.capacity()},
      host{threads, job.device.host_capacity(), Sharing::nothing, Tier::host};
  const TokenFile tokens{job.data.train};
  SwapDisk disk{job.offload};
  Assembly assembly{job, tokens.sha256(), world, {device, host, disk}};
  if (resumes)
    assembly.load_newest(job.directory());
  else
    assembly.begin();
  const BatchReader reader{tokens, job.batch, job.data.sequence_length, job.train.seed, device};
  SmallRun::Last last;
  run_loop(assembly.trainer(), steps, 0, world,
           {.batch = [&](std::uint64_t step) { return reader.read(step, world.rank()); },
            .report =
                [&](const StepReport& report, double) {
                  if (last.first_loss == 0) last.first_loss = report.loss;
                  last.loss = report.loss;
                  last.skipped += report.skipped();
                },
            .save = [&] { assembly.save(); },
            .stop = [] { return false; }});
  return last;
}

std::string SmallRun::digest_after(std::size_t steps, const SmallJob& job, const Arrangement& arrangement,
                                   const std::string& directory) {
  const std::filesystem::path file = write_job(job, directory);
  std::vector<std::string> changes = overrides(arrangement);
  changes.insert(changes.end(), job.changes.begin(), job.changes.end());
  on_ranks(arrangement.ranks, [&](Communicator& world) {
    const Last last = train_small(file, changes, steps, world);
    if (world.rank() == 0) last_ = last;
  });
  return checkpoint::digest(checkpoint::resolve(folder() / directory));
}

std::string SmallRun::digest_after(std::size_t steps, const SmallJob& job, const Arrangement& arrangement) {
  return digest_after(steps, job, arrangement, str("run-", ++runs_));
}

}  // namespace tranche::testing
