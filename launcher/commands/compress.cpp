// tranche compress: a trained model in a quarter or an eighth of its bytes.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "compress/convert.h"
#include "compress/input_scaling.h"
#include "launcher/commands/commands.h"
#include "launcher/model_inputs.h"
#include "launcher/ranks.h"

namespace tranche {
namespace {

struct Options {
  std::string checkpoint, scheme, qconfig, output, ranges, rounding = "nearest", data;
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

// Weights by what their inputs are together, tables to nearest.
compress::Rounding second_order(compress::InputProducts all) {
  return [products = std::move(all)](const std::string& name, const Shape& shape, std::span<const float> values,
                                     const compress::Plan& plan) {
    const auto found = products.find(name);
    const bool linear = found != products.end() && plan.form != compress::TensorForm::int8;
    return linear ? compress::round_by_products(name, shape, values, plan, found->second)
                  : compress::quantize_weight(name, shape, values, plan);
  };
}

// PyTorch's default configurations (torch.ao.quantization.get_default_qconfig): int8, inputs over the range whose 256
// levels have the least squared error; weights with a scale for each row on x86, with one scale on Arm.
compress::Rounding by_qconfig(const std::string& name, const compress::InputRanges& linears) {
  if (name == "x86") return compress::quantize_weight;
  return [&linears](const std::string& weight, const Shape& shape, std::span<const float> values,
                    const compress::Plan& plan) {
    return linears.contains(weight) ? compress::quantize_weight_by_one_scale(weight, shape, values, plan)
                                    : compress::quantize_weight(weight, shape, values, plan);
  };
}

// Throws Exit::usage for what does not go together.
compress::Scheme check_options(const Options& options) {
  const bool preset = !options.qconfig.empty();
  ensure(Exit::usage, preset == options.scheme.empty(), "give one of --scheme and --qconfig");
  ensure(Exit::usage, !preset || options.qconfig == "x86" || options.qconfig == "arm", "--qconfig ", options.qconfig,
         ": expected x86 or arm");
  const compress::Scheme scheme = preset ? compress::Scheme::int8_static : compress::scheme_named(options.scheme);
  ensure(Exit::usage, options.group % 32 == 0 && options.group >= 32 && options.group <= 128, "--group ", options.group,
         ": expected 32, 64, 96 or 128");
  ensure(Exit::usage, scheme != compress::Scheme::sparse && !compress::is_of_signs(scheme), "--scheme ", options.scheme,
         ": `tranche compress convert` writes it of a model that was ",
         scheme == compress::Scheme::sparse ? "pruned" : "made of signs", " while it trained");
  const bool takes_ranges = options.scheme == name_of(compress::Scheme::int8_static);
  ensure(Exit::usage, takes_ranges == !options.ranges.empty(),
         takes_ranges ? "int8-static needs --ranges FILE, which `tranche calibrate` makes"
                      : "--ranges is for --scheme int8-static alone");
  const bool nearest = options.rounding == "nearest";
  ensure(Exit::usage, nearest || options.rounding == "gptq" || options.rounding == "awq", "--rounding ",
         options.rounding, ": expected nearest, gptq or awq");
  ensure(Exit::usage, nearest || has_few_bits(scheme), "--rounding ", options.rounding,
         " is for int4-weight and int2-weight");
  ensure(Exit::usage, preset || !nearest || options.data.empty(),
         "--data is for --qconfig and for --rounding gptq and awq alone");
  return scheme;
}

Exit quantize_checkpoint(const Options& options, Session& session) {
  check_one_rank("compress quantize", session);
  const compress::Scheme scheme = check_options(options);
  const bool preset = !options.qconfig.empty(), looks = preset || options.rounding != "nearest";
  compress::InputRanges ranges;
  if (!options.ranges.empty()) ranges = compress::read_ranges(options.ranges);
  compress::WatchedLinears linears;
  OpenedModel model{open_checkpoint(options.checkpoint, session), session, {.linears = looks ? &linears : nullptr}};
  compress::UnitReader values_of = [&](const Unit& unit) { return model.values_of(unit); };
  compress::Rounding round = compress::quantize_weight;
  if (looks) {
    ModelInputs inputs{model, linears, options.data, options.samples};
    if (preset) {
      ranges = inputs.ranges(compress::RangeMethod::least_squares);
      round = by_qconfig(options.qconfig, ranges);
    } else if (options.rounding == "gptq") {
      round = second_order(inputs.products());
    } else {
      values_of = compress::ScaledValues{model.units(),       values_of, inputs.products(),
                                         inputs.magnitudes(), scheme,    options.group};
    }
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
      ->type_name("NAME");
  command
      ->add_option(
          "--qconfig", options->qconfig,
          "in place of a scheme: x86 or arm, as PyTorch's default of that name; int8-static over ranges that a "
          "token file gives now, with a scale for each row of a weight (x86) or one for all (arm)")
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
  command
      ->add_option("--data", options->data, "of --qconfig, gptq and awq: token file; by default the job's data.train")
      ->type_name("FILE");
  command
      ->add_option("--samples", options->samples, "of --qconfig, gptq and awq: how many from the file's start; 0: all")
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
