// tranche store-logits: what a job's teachers say of its training data, once and for all.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "launcher/commands/commands.h"
#include "launcher/ranks.h"
#include "launcher/session.h"
#include "launcher/store_logits.h"
#include "launcher/teacher.h"
#include "runtime/data/batch_order.h"

namespace tranche {
namespace {

struct Options {
  JobOptions job;
  std::string output;
  std::size_t top = 32;
};

struct Start {
  std::unique_ptr<Job> job;
  std::unique_ptr<TokenFile> tokens;
};

void read_start(const Options& options, std::size_t ranks, Start& start) {
  start.job = std::make_unique<Job>(read_job(options.job.file, options.job.overrides));
  const Job& job = *start.job;
  ensure(Exit::job_file, !job.distillation.teachers.empty(), options.job.file,
         " names no teacher: set \"distillation.teacher\", and no \"distillation.stored_logits\"");
  ensure(Exit::usage, options.top >= 1 && options.top <= job.model_config.vocabulary, "--top is ", options.top,
         ", expected 1 to ", job.model_config.vocabulary, ", the tokens of the vocabulary");
  start.job->settle(ranks);
  for (const std::string& teacher : job.distillation.teachers) teacher_job(job, teacher);
  start.tokens = std::make_unique<TokenFile>(job.data.train);
  check_vocabulary(*start.tokens, job.model_config);
  count_samples(*start.tokens, job.data.sequence_length);
}

Exit run(const Options& options) {
  Session session;
  return or_stop_all(session.control(), [&] {
    Start start;
    together(session.control(), "job", [&] { read_start(options, session.ranks(), start); });
    const Job& job = *start.job;
    check_same_job(job, session.control());
    const std::unique_ptr<Device> device = session.make_device(job);
    const std::unique_ptr<CpuDevice> host = session.make_host(job.device, *device);
    SwapDisk disk{job.offload};
    const std::unique_ptr<Communicator> world = session.make_world(*device, job.device);
    store_logits(job, *start.tokens, options.top, options.output, *world, {*device, *host, disk});
    if (session.rank() == 0)
      std::printf("%s: the %zu greatest logits of each token of %s\n", options.output.c_str(), options.top,
                  job.data.train.c_str());
    return Exit::success;
  });
}

}  // namespace

void add_store_logits(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "store-logits", "Write what a job's teachers say of its data.train, for students to train from without them");
  options->job.add(*command);
  command->add_option("--top", options->top, "how many of a token's logits are kept; the vocabulary's size: all")
      ->capture_default_str();
  command->add_option("-o,--output", options->output, "the file to write")->required()->type_name("FILE");
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace tranche
