// tranche train: the run that a job file describes.
#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <optional>

#include "launcher/assemble.h"
#include "launcher/choices.h"
#include "launcher/commands/commands.h"
#include "launcher/control/reporter.h"
#include "launcher/plan.h"
#include "launcher/progress.h"
#include "launcher/ranks.h"
#include "launcher/session.h"
#include "launcher/step_fault.h"
#include "launcher/step_trace.h"
#include "launcher/stop.h"
#include "launcher/teacher.h"
#include "launcher/tensorboard.h"
#include "runtime/base/log.h"
#include "runtime/base/trace.h"
#include "runtime/comm/launched_as.h"
#include "runtime/ops/instruction_path.h"
#include "runtime/train/batches.h"
#include "runtime/train/loop.h"
#include "runtime/train/metrics.h"

namespace tranche {
namespace {

struct Options {
  JobOptions job;
  TraceOptions trace;
  bool resume = false;
};

// Everything that can be wrong with a job is said before any memory is taken, once, and with nothing written.
struct Start {
  std::unique_ptr<Job> job;
  std::unique_ptr<TokenFile> tokens;
  bool resumes = false;
};

void read_start(const Options& options, std::size_t rank, std::size_t ranks, Start& start) {
  options.trace.check(rank);
  start.job = std::make_unique<Job>(read_job(options.job.file, options.job.overrides));
  const std::filesystem::path directory = start.job->directory();
  const checkpoint::Newest newest = checkpoint::find_newest_complete(directory);
  ensure(Exit::checkpoint, options.resume || !newest.folder, directory.string(), " holds ",
         newest.folder.value_or("").filename().string(),
         " of an earlier run: go on from it with --resume, or set another checkpoint.directory");
  // Starting over would write over what may still be saved.
  std::string damaged;
  for (const checkpoint::Skipped& each : newest.skipped)
    damaged += str("\n  ", each.folder.string(), ": ", each.reason);
  ensure(Exit::checkpoint, newest.folder || damaged.empty(), directory.string(),
         " holds checkpoints, but none that is complete; repair or delete them, or set another checkpoint.directory:",
         damaged);
  start.resumes = options.resume && newest.folder.has_value();
  if (start.resumes)
    start.job->resume(ranks, checkpoint::read_manifest(*newest.folder).state.job, newest.folder->string());
  else
    start.job->settle(ranks);
  for (const std::string& teacher : start.job->distillation.teachers) teacher_job(*start.job, teacher);
  if (start.job->checkpoint.start_from && !start.resumes) checkpoint::resolve(*start.job->checkpoint.start_from);
  start.tokens = std::make_unique<TokenFile>(start.job->data.train);
  check_vocabulary(*start.tokens, start.job->model_config);
  open_stored_logits(*start.job, start.tokens->sha256());
  count_samples(*start.tokens, start.job->data.sequence_length);
}

// What rank 0 tells of each step, on the terminal, in metrics.jsonl, and to TensorBoard if it is asked to.
class Teller {
 public:
  Teller(const Job& job, const Memory& memory, const Communicator& world, std::uint64_t first)
      : job_(job),
        memory_(memory),
        world_(world),
        file_(job.directory() / "metrics.jsonl", first),
        events_(job.tensorboard, job.batch.samples()),
        progress_(first, job.train.steps, job.train.steps_per_print),
        step_(first) {}

  void tell(const StepReport& report, double seconds) {
    const trace::Span span{trace::Kind::disk, "write the metrics"};
    const double tokens = static_cast<double>(job_.batch.samples() * job_.data.sequence_length);
    StepMetrics metrics{.step = ++step_,
                        .loss = report.loss,
                        .learning_rate = report.learning_rate,
                        .gradient_norm = report.norm.value,
                        .loss_scale = static_cast<double>(report.loss_scale),
                        .skipped = report.skipped(),
                        .tokens_per_second = tokens / seconds,
                        .saving_seconds = std::exchange(saving_seconds_, 0)};
    for (const PlannedMemory& tier : peaks_of(job_, memory_)) {
      if (tier.tier == Tier::disk) continue;
      auto& peaks = tier.tier == Tier::device ? metrics.peak_bytes : metrics.host_peak_bytes;
      for (std::size_t c = 0; c < category_count; ++c)
        peaks.emplace_back(name_of(static_cast<Category>(c)), tier.peaks[c]);
    }
    for (const auto& [op, traffic] : world_.traffic())
      metrics.communicated_bytes.emplace_back(op, traffic.bytes - std::exchange(told_[op], traffic.bytes));
    file_.add(metrics);
    if (job_.tensorboard.enabled) events_.add(metrics);
    progress_.step(metrics);
  }
  void saved(double seconds) { saving_seconds_ += seconds; }
  void clear() { progress_.clear(); }

 private:
  const Job& job_;
  const Memory& memory_;
  const Communicator& world_;
  MetricsFile file_;
  TensorBoard events_;
  Progress progress_;
  std::uint64_t step_;
  double saving_seconds_ = 0;
  std::map<std::string_view, std::size_t> told_;
};

std::map<std::string, double> by_kind(const trace::Account::Seconds& seconds) {
  std::map<std::string, double> all;
  for (std::size_t kind = 0; kind < seconds.size(); ++kind)
    if (seconds[kind] > 0) all.emplace(trace::name_of(static_cast<trace::Kind>(kind)), seconds[kind]);
  return all;
}

// Most bytes held so far, of the tiers that the job uses.
std::map<std::string, std::map<std::string, std::uint64_t>> peaks_by_tier(const Job& job, const Memory& memory) {
  std::map<std::string, std::map<std::string, std::uint64_t>> all;
  for (const PlannedMemory& tier : peaks_of(job, memory))
    for (std::size_t c = 0; c < category_count; ++c)
      if (tier.peaks[c] != 0)
        all[std::string{name_of(tier.tier)}].emplace(name_of(static_cast<Category>(c)), tier.peaks[c]);
  return all;
}

// What a plan is of: the job on the kind of device that it has, which "auto" leaves open.
std::unique_ptr<const Job> on_device(const Job& job, const Device& device) {
  const char* const type = device.type() == DeviceType::cuda ? "device.type=cuda" : "device.type=cpu";
  auto same = std::make_unique<Job>(stored_job(job.effective(), "the job", {type}));
  same->settle(job.batch.deal.ranks);
  return same;
}

void tell_reduction(const Job& job, const Communicator& world) {
  if (job.train.reduction == Reduction::canonical || world.size() == 1) return;
  if (!world.adds_on_the_way())
    return log::info("reduction is fast: these collectives have no faster sum, and gradients are summed canonically");
  log::warning(
      "reduction is fast: the sums of gradients, and so the digest, depend on the number of ranks; a resume on another "
      "number goes on with other bits");
}

// From the first memory that is taken to the last checkpoint.
Exit run_job(const Options& options, Session& session, const Start& start, Device& device, Reporter& reporter) {
  const Job& job = *start.job;
  const std::unique_ptr<CpuDevice> host = session.make_host(job.device, device);
  SwapDisk disk{job.offload};
  const std::unique_ptr<Communicator> world = session.make_world(device, job.device);
  tell_reduction(job, *world);
  world->observe([&](const CollectiveRecord& record) { reporter.issued(record); });
  const std::unique_ptr<Communicator> savers = job.checkpoint.asynchronous ? session.make_control() : nullptr;
  const std::unique_ptr<Communicator> witnesses = job.train.compares() ? session.make_control() : nullptr;
  const Memory memory{device, *host, disk};
  Assembly assembly{
      job, start.tokens->sha256(), *world, memory, {.savers = savers.get(), .witnesses = witnesses.get()}};
  if (start.resumes)
    assembly.load_newest(job.directory());
  else
    assembly.begin();
  Trainer& trainer = assembly.trainer();
  trace::name_thread("compute");
  trace::Account time;
  StepTrace trace{options.trace, trainer.steps(), session.control()};
  const BatchReader reader{*start.tokens, job.batch, job.data.sequence_length, job.train.seed, device};

  const bool speaks = session.rank() == 0;
  std::optional<Teller> teller;
  if (speaks) {
    teller.emplace(job, memory, *world, trainer.steps());
    log::info(str(job.model_config.type, " of ",
                  count_text(static_cast<double>(assembly.replica().model().parameters())), " parameters, ZeRO stage ",
                  job.zero.stage, ", ", world->size(), world->size() == 1 ? " rank" : " ranks", " of ",
                  device.description(), ", ", ops::name_of(ops::instruction_path()), " instructions, ",
                  job.batch.deal.micro_batches, " micro-batches a step"));
  }
  if (trainer.steps() >= job.train.steps)
    log::info(str("nothing to do: ", trainer.steps(), " steps are done, and \"steps\" is ", job.train.steps));
  reporter.phase("training");
  const LoopEnd end = run_loop(trainer, job.train.steps, job.checkpoint.every, *world,
                               {.batch =
                                    [&](std::uint64_t step) {
                                      trace.before_step(step);
                                      reporter.step(step + 1);
                                      if (step_fault()) step_fault()(step + 1, assembly, *world);
                                      return reader.read(step, session.rank());
                                    },
                                .report =
                                    [&](const StepReport& report, double seconds) {
                                      reporter.spent(by_kind(time.so_far()), peaks_by_tier(job, memory));
                                      if (teller) teller->tell(report, seconds);
                                    },
                                .save =
                                    [&] {
                                      const std::int64_t begin = trace::now();
                                      reporter.phase("saving");
                                      assembly.save();
                                      reporter.phase("training");
                                      if (teller) teller->saved(1e-9 * static_cast<double>(trace::now() - begin));
                                    },
                                .stop = [&] { return stop_requested() || assembly.saving_failed(); }});
  reporter.phase("finishing");
  assembly.finish_saving();
  trace.finish();
  if (teller) teller->clear();
  if (end == LoopEnd::finished) return Exit::success;
  log::info(str("stopped after step ", trainer.steps(), ", which is saved: go on with --resume"));
  return Exit::stopped;
}

Exit train(const Options& options, Session& session, const std::unique_ptr<Reporter> reporter) {
  reporter->phase("starting");
  Start start;
  together(session.control(), "job", [&] { read_start(options, session.rank(), session.ranks(), start); });
  const Job& job = *start.job;
  check_same_job(job, session.control());
  const std::unique_ptr<Device> device = session.make_device(job);
  for (const std::string& line : job.without_effect()) log::info(line);
  together(session.control(), "plan", [&] {
    const bool limited = job.device.memory != 0 || job.device.host_memory != 0;
    if (session.rank() == 0 && limited) refuse_if_too_large(*on_device(job, *device), session.ranks_on_host());
  });
  try {
    return run_job(options, session, start, *device, *reporter);
  } catch (const Error& error) {
    if (error.exit() != Exit::out_of_memory) throw;
    // The plan knows only what the job limits; the machine's own memory may have ended as well.
    throw Error(error.exit(),
                str(error.what(), "\n", memory_advice(*on_device(job, *device), session.ranks_on_host())));
  }
}

Exit run(const Options& options) {
  watch_for_stop();
  // Before MPI connects the ranks: one that does not get there is missed by its number.
  const LaunchedAs launched = launched_as();
  auto reporter = std::make_unique<Reporter>(launched.rank, launched.ranks);
  Session session;
  return or_stop_all(session.control(), [&] { return train(options, session, std::move(reporter)); });
}

}  // namespace

void add_train(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("train", "Train the model of a job file");
  options->job.add(*command);
  options->trace.add(*command);
  command->add_flag(
      "--resume", options->resume,
      "go on from the newest complete checkpoint in checkpoint.directory; from the start if there is none");
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace tranche
