// tranche calibrate: the ranges of what a checkpoint's linears see of a token file.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "compress/calibration.h"
#include "launcher/assemble.h"
#include "launcher/commands/commands.h"
#include "launcher/ranks.h"
#include "launcher/session.h"

namespace tranche {
namespace {

struct Options {
  std::string checkpoint, data, output, method = "least-squares";
  std::size_t samples = 128;
};

Exit calibrate_checkpoint(const Options& options, Session& session) {
  const compress::RangeMethod method = compress::range_method_named(options.method);
  const OpenedCheckpoint opened = open_checkpoint(options.checkpoint, session);
  const Job& job = *opened.job;
  std::unique_ptr<TokenFile> file;
  together(session.control(), "calibration data", [&] {
    file = std::make_unique<TokenFile>(options.data.empty() ? job.data.train : options.data);
    check_vocabulary(*file, job.model_config);
  });
  const std::unique_ptr<CpuDevice> device = session.make_cpu_device(job.device),
                                   host = session.make_host(job.device, *device);
  SwapDisk disk{job.offload};
  const std::unique_ptr<Communicator> world = session.make_world(*device);
  compress::WatchedLinears linears;
  Replica replica{job, *world, {*device, *host, disk}, {.linears = &linears}};
  replica.load_parameters(opened.folder);
  const compress::Windows windows{*file, job.batch.micro_batch_size, job.data.sequence_length, options.samples};
  const compress::InputRanges ranges = compress::calibrate(replica.model(), linears, windows, method, *world, *device);
  together(session.control(), "ranges", [&] {
    if (session.rank() == 0) compress::write_ranges(options.output, ranges, method);
  });
  if (session.rank() == 0)
    std::printf("%s: the ranges of %zu inputs, by %s\n", options.output.c_str(), ranges.size(), options.method.c_str());
  return Exit::success;
}

Exit run(const Options& options) {
  Session session;
  return or_stop_all(session.control(), [&] { return calibrate_checkpoint(options, session); });
}

}  // namespace

void add_calibrate(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("calibrate", "Write the ranges of what a checkpoint's linears see, for int8-static");
  command->add_option("checkpoint", options->checkpoint, "a run's directory (its newest complete step), or one step's")
      ->required()
      ->type_name("DIR");
  command->add_option("--data", options->data, "token file; by default the job's data.train")->type_name("FILE");
  command->add_option("--samples", options->samples, "how many samples from the file's start; 0: all")
      ->capture_default_str();
  command->add_option("--method", options->method, "min-max, percentile (99.99), least-squares or kl")
      ->capture_default_str();
  command->add_option("-o,--output", options->output, "the file to write")->required()->type_name("FILE");
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace tranche
