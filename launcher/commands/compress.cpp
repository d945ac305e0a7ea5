// tranche compress: a trained model in a quarter or an eighth of its bytes.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "compress/convert.h"
#include "compress/input_scaling.h"
#include "compress/second_order.h"
#include "launcher/commands/commands.h"
#include "launcher/opened_model.h"
#include "launcher/ranks.h"

namespace tranche {
namespace {

struct Options {
  std::string checkpoint, scheme, output, ranges, rounding = "nearest", data;
  std::size_t group = 64, samples = 128;
};

compress::PackedDescription describe(const Job& job, compress::Scheme scheme) {
  const TokenizerDefinition tokenizer = TokenFile{job.data.train}.tokenizer_definition();
  return {scheme, job.effective(), tokenizer.kind, tokenizer.bytes};
}

void tell(const std::string& output, std::size_t parameters) {
  const compress::PackedFile written{output};
  const auto bytes = static_cast<double>(written.bytes()), count = static_cast<double>(parameters);
  std::printf("%s: %s, %llu bytes for %zu parameters: %.2f bits each, %.1f %% of float32\n", output.c_str(),
              std::string{name_of(written.description().scheme)}.c_str(),
              static_cast<unsigned long long>(written.bytes()), parameters, 8 * bytes / count, 25 * bytes / count);
}

bool has_few_bits(compress::Scheme scheme) {
  return scheme == compress::Scheme::int4_weight || scheme == compress::Scheme::int2_weight;
}

// What the model's linears see of the token file.
class Inputs {
 public:
  Inputs(const Options& options, OpenedModel& model, compress::WatchedLinears& linears)
      : model_(model),
        linears_(linears),
        job_(*model.opened.job),
        file_(options.data.empty() ? job_.data.train : options.data),
        windows_{file_, job_.batch.micro_batch_size, job_.data.sequence_length, options.samples} {
    check_vocabulary(file_, job_.model_config);
  }
  Inputs(const Inputs&) = delete;
  Inputs& operator=(const Inputs&) = delete;

  compress::InputProducts products() {
    return compress::input_products(model_.replica.model(), linears_, windows_, *model_.world, *model_.device);
  }
  compress::InputMagnitudes magnitudes() {
    return compress::input_magnitudes(model_.replica.model(), linears_, windows_, *model_.world, *model_.device);
  }

 private:
  OpenedModel& model_;
  compress::WatchedLinears& linears_;
  const Job& job_;
  TokenFile file_;
  compress::Windows windows_;
};

// Weights by what their inputs are together, tables to nearest.
compress::Rounding second_order(Inputs inputs) {
  return [products = inputs.products()](const std::string& name, const Shape& shape, std::span<const float> values,
                                        const compress::Plan& plan) {
    const auto found = products.find(name);
    const bool linear = found != products.end() && plan.form != compress::TensorForm::int8;
    return linear ? compress::round_by_products(name, shape, values, plan, found->second)
                  : compress::quantize_weight(name, shape, values, plan);
  };
}

Exit quantize_checkpoint(const Options& options, Session& session) {
  check_one_rank("compress quantize", session);
  const compress::Scheme scheme = compress::scheme_named(options.scheme);
  ensure(Exit::usage, options.group % 32 == 0 && options.group >= 32 && options.group <= 128, "--group ", options.group,
         ": expected 32, 64, 96 or 128");
  ensure(Exit::usage, scheme != compress::Scheme::sparse,
         "--scheme sparse: `tranche compress convert` writes it of a model that was pruned while it trained");
  const bool is_static = scheme == compress::Scheme::int8_static;
  ensure(Exit::usage, is_static == !options.ranges.empty(),
         is_static ? "int8-static needs --ranges FILE, which `tranche calibrate` makes"
                   : "--ranges is for int8-static alone");
  const compress::InputRanges ranges = is_static ? compress::read_ranges(options.ranges) : compress::InputRanges{};
  const bool gptq = options.rounding == "gptq", awq = options.rounding == "awq", looks = gptq || awq;
  ensure(Exit::usage, looks || options.rounding == "nearest", "--rounding ", options.rounding,
         ": expected nearest, gptq or awq");
  ensure(Exit::usage, !looks || has_few_bits(scheme), "--rounding ", options.rounding,
         " is for int4-weight and int2-weight");
  ensure(Exit::usage, looks || options.data.empty(), "--data is for --rounding gptq and awq alone");
  compress::WatchedLinears linears;
  OpenedModel model{open_checkpoint(options.checkpoint, session), session, {.linears = looks ? &linears : nullptr}};
  compress::UnitReader values_of = [&](const Unit& unit) { return model.values_of(unit); };
  compress::Rounding round = compress::quantize_weight;
  if (gptq) round = second_order({options, model, linears});
  if (awq) {
    Inputs inputs{options, model, linears};
    values_of =
        compress::ScaledValues{model.units(), values_of, inputs.products(), inputs.magnitudes(), scheme, options.group};
  }
  compress::quantize_model(options.output, describe(*model.opened.job, scheme), options.group, model.units(), values_of,
                           ranges, round);
  tell(options.output, model.replica.model().parameters());
  return Exit::success;
}

Exit convert_checkpoint(const Options& options, Session& session) {
  check_one_rank("compress convert", session);
  OpenedCheckpoint opened = open_checkpoint(options.checkpoint, session);
  const compress::Scheme scheme = compress::scheme_after(opened.job->compression);
  OpenedModel model{std::move(opened), session};
  const Job& job = *model.opened.job;
  const auto values_of = [&](const Unit& unit) { return model.values_of(unit); };
  if (scheme == compress::Scheme::sparse)
    compress::convert_pruned_model(options.output, describe(job, scheme), model.units(), values_of,
                                   job.compression.pruning, model.updates);
  else
    compress::convert_model(options.output, describe(job, scheme), model.units(), values_of, job.compression,
                            model.replica.quantization(), model.updates, job.amp.precision().working, *model.device);
  tell(options.output, model.replica.model().parameters());
  return Exit::success;
}

Exit run(Exit (*command)(const Options&, Session&), const Options& options) {
  Session session;
  return or_stop_all(session.control(), [&] { return command(options, session); });
}

// What both commands take.
void add_ends(CLI::App& command, Options& options) {
  command.add_option("checkpoint", options.checkpoint, "a run's directory (its newest complete step), or one step's")
      ->required()
      ->type_name("DIR");
  command.add_option("-o,--output", options.output, "the file to write")->required()->type_name("FILE");
}

}  // namespace

void add_compress(CLI::App& app, Chosen& chosen) {
  CLI::App* parent = app.add_subcommand("compress", "Make a trained model small");
  parent->require_subcommand(1);
  auto options = std::make_shared<Options>();
  CLI::App* command = parent->add_subcommand("quantize", "Write a checkpoint's model with fewer bits, as one file");
  add_ends(*command, *options);
  command
      ->add_option("--scheme", options->scheme,
                   "int8-dynamic, int8-static, int8-weight, int4-weight, int2-weight, float16 or bfloat16")
      ->required()
      ->type_name("NAME");
  command
      ->add_option("--group", options->group,
                   "columns that share a scale, of int8-weight, int4-weight and int2-weight: 32, 64, 96 or 128")
      ->capture_default_str();
  command
      ->add_option("--rounding", options->rounding,
                   "nearest; or, of int4-weight and int2-weight, by what a token file shows of the inputs: gptq rounds "
                   "column by column, awq scales inputs before")
      ->capture_default_str();
  command->add_option("--data", options->data, "of gptq and awq: token file; by default the job's data.train")
      ->type_name("FILE");
  command->add_option("--samples", options->samples, "of gptq and awq: how many from the file's start; 0: all")
      ->capture_default_str();
  command->add_option("--ranges", options->ranges, "of int8-static: what `tranche calibrate` wrote")->type_name("FILE");
  command->callback([options, &chosen] { chosen = [options] { return run(quantize_checkpoint, *options); }; });

  CLI::App* convert = parent->add_subcommand(
      "convert",
      "Write what quantization-aware training or pruning made: with the bits it trained for, without the zeros");
  add_ends(*convert, *options);
  add_low_rank(*parent, chosen);
  add_prune_structure(*parent, chosen);
  add_compress_report(*parent, chosen);
  convert->callback([options, &chosen] { chosen = [options] { return run(convert_checkpoint, *options); }; });
}

}  // namespace tranche
