// tranche compress quantize: a trained model in a quarter or an eighth of its bytes.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "compress/quantize_weights.h"
#include "launcher/assemble.h"
#include "launcher/commands/commands.h"
#include "launcher/ranks.h"
#include "launcher/session.h"

namespace tranche {
namespace {

struct Options {
  std::string checkpoint, scheme, output, ranges;
  std::size_t group = 64;
};

compress::PackedDescription describe(const Job& job, compress::Scheme scheme) {
  const TokenizerDefinition tokenizer = TokenFile{job.data.train}.tokenizer_definition();
  return {scheme, job.effective(), tokenizer.kind, tokenizer.bytes};
}

Exit quantize_checkpoint(const Options& options, Session& session) {
  ensure(Exit::usage, session.ranks() == 1, "compress quantize runs on one rank: start it without mpirun");
  const compress::Scheme scheme = compress::scheme_named(options.scheme);
  ensure(Exit::usage, options.group % 32 == 0 && options.group >= 32 && options.group <= 128, "--group ", options.group,
         ": expected 32, 64, 96 or 128");
  const bool is_static = scheme == compress::Scheme::int8_static;
  ensure(Exit::usage, is_static == !options.ranges.empty(),
         is_static ? "int8-static needs --ranges FILE, which `tranche calibrate` makes"
                   : "--ranges is for int8-static alone");
  const compress::InputRanges ranges = is_static ? compress::read_ranges(options.ranges) : compress::InputRanges{};
  const OpenedCheckpoint opened = open_checkpoint(options.checkpoint, session);
  const Job& job = *opened.job;
  const compress::PackedDescription description = describe(job, scheme);
  const std::unique_ptr<CpuDevice> device = session.make_device(job.device), host = session.make_host(job.device);
  SwapDisk disk{job.offload};
  const std::unique_ptr<Communicator> world = session.make_world(*device);
  Replica replica{job, *world, {*device, *host, disk}};
  replica.load_parameters(opened.folder);
  const checkpoint::ModelState state = replica.held();
  const std::deque<Unit>& units = replica.model().units();
  compress::write_packed(
      options.output, description, options.group, units,
      [&](const Unit& unit) {
        const checkpoint::Borrowed all = state.slices[unit.index()].front().borrow();  // the masters
        return compress::UnitValues{all.elements, all.holder};
      },
      ranges);
  const compress::PackedFile written{options.output};
  const std::size_t parameters = replica.model().parameters();
  std::printf("%s: %s, %llu bytes for %zu parameters: %.2f bits each, %.1f %% of float32\n", options.output.c_str(),
              options.scheme.c_str(), static_cast<unsigned long long>(written.bytes()), parameters,
              8.0 * static_cast<double>(written.bytes()) / static_cast<double>(parameters),
              25.0 * static_cast<double>(written.bytes()) / static_cast<double>(parameters));
  return Exit::success;
}

Exit run(const Options& options) {
  Session session;
  return or_stop_all(session.control(), [&] { return quantize_checkpoint(options, session); });
}

}  // namespace

void add_compress(CLI::App& app, Chosen& chosen) {
  CLI::App* parent = app.add_subcommand("compress", "Make a trained model small");
  parent->require_subcommand(1);
  auto options = std::make_shared<Options>();
  CLI::App* command = parent->add_subcommand("quantize", "Write a checkpoint's model with fewer bits, as one file");
  command->add_option("checkpoint", options->checkpoint, "a run's directory (its newest complete step), or one step's")
      ->required()
      ->type_name("DIR");
  command
      ->add_option("--scheme", options->scheme,
                   "int8-dynamic, int8-static, int8-weight, int4-weight, float16 or bfloat16")
      ->required()
      ->type_name("NAME");
  command
      ->add_option("--group", options->group,
                   "columns that share a scale, of int8-weight and int4-weight: 32, 64, 96 or 128")
      ->capture_default_str();
  command->add_option("--ranges", options->ranges, "of int8-static: what `tranche calibrate` wrote")->type_name("FILE");
  command->add_option("-o,--output", options->output, "the file to write")->required()->type_name("FILE");
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace tranche
