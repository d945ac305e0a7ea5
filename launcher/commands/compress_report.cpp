// tranche compress report: checkpoints and packed models side by side.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>

#include "compress/report.h"
#include "launcher/commands/commands.h"
#include "launcher/opened_model.h"
#include "launcher/packed.h"
#include "launcher/ranks.h"
#include "launcher/table.h"
#include "runtime/base/file.h"
#include "runtime/models/generate.h"
#include "runtime/train/evaluate.h"

namespace tranche {
namespace {

using compress::ReportRow;

struct Options {
  JobOptions job;
  std::vector<std::string> models;
  std::string output;
  std::size_t samples = 0;
};

// What all of them are evaluated on.
class Validation {
 public:
  Validation(const TokenFile& file, const Job& job, std::uint64_t samples)
      : file_(file),
        micro_batch_size_(job.batch.micro_batch_size),
        sequence_length_(job.data.sequence_length),
        samples_(samples) {}

  // Of the model that computes it.
  ReportRow row(ReportRow of, Model& model, Communicator& world, Device& device) const {
    of.parameters = model.parameters();
    of.loss = loss_of(model, of.model, world, device);
    const std::size_t tokens = std::min<std::size_t>(64, model.config().positions - 1);
    if (tokens > 0) of.tokens_a_second = generation_rate(model, device, tokens);
    return of;
  }

 private:
  double loss_of(Model& model, const std::string& name, Communicator& world, Device& device) const {
    const Doing frame{[&] { return "evaluating " + name; }};
    check_vocabulary(file_, model.config());
    return evaluate(model, Objective{}, file_, micro_batch_size_, sequence_length_, samples_, world, device).loss;
  }

  const TokenFile& file_;
  std::size_t micro_batch_size_, sequence_length_;
  std::uint64_t samples_;
};

double part(std::uint64_t zeros, std::uint64_t weights) {
  return weights == 0 ? 0 : static_cast<double>(zeros) / static_cast<double>(weights);
}

ReportRow row_of_checkpoint(const std::string& name, const Validation& validation, Session& session) {
  OpenedModel opened{open_checkpoint(name, session), session};
  Model& model = opened.replica.model();
  std::uint64_t zeros = 0, weights = 0;
  for (const Unit& unit : opened.units()) {
    const compress::UnitValues flat = opened.values_of(unit);
    for (const Parameter* each : unit.parameters()) {
      if (each->shape.dimensions() != 2) continue;
      const std::span<const float> values = flat.values.subspan(each->offset, each->shape.size());
      zeros += static_cast<std::uint64_t>(std::ranges::count(values, 0.0f));
      weights += values.size();
    }
  }
  return validation.row(
      {.model = name, .form = "float32", .bytes = model.parameters() * sizeof(float), .zeros = part(zeros, weights)},
      model, *opened.world, *opened.device);
}

ReportRow row_of_packed(const std::string& name, const Validation& validation, Session& session) {
  const OpenedPacked opened = open_packed(name, session);
  const std::unique_ptr<CpuDevice> device = session.make_cpu_device(opened.job->device);
  const std::unique_ptr<Communicator> world = session.make_world(*device);
  PackedReplica replica{*opened.job, *opened.file, *device};
  std::uint64_t zeros = 0, weights = 0;
  for (std::size_t i = 0; i < opened.file->tensors(); ++i) {
    if (opened.file->entry(i).shape.dimensions() != 2) continue;
    zeros += compress::zeros_of(opened.file->read(i));
    weights += opened.file->entry(i).shape.size();
  }
  return validation.row({.model = name,
                         .form = std::string{name_of(opened.file->description().scheme)},
                         .bytes = opened.file->bytes(),
                         .zeros = part(zeros, weights)},
                        replica.model(), *world, *device);
}

std::string table_of(const std::vector<ReportRow>& rows) {
  std::vector<Row> lines{compress::report_columns()};
  for (const ReportRow& row : rows) lines.push_back(compress::report_cells(row, rows.front()));
  return aligned(lines, 2);
}

Exit report(const Options& options, Session& session) {
  check_one_rank("compress report", session);
  Job job{read_job(options.job.file, options.job.overrides)};
  job.settle(1);
  ensure(Exit::job_file, job.data.validation.has_value(), options.job.file,
         " names no data.validation: add it, or give a token file with --set data.validation=FILE");
  const TokenFile file{*job.data.validation};
  const Validation validation{file, job, options.samples};
  std::vector<ReportRow> rows;
  for (const std::string& name : options.models)
    rows.push_back(is_packed(name) ? row_of_packed(name, validation, session)
                                   : row_of_checkpoint(name, validation, session));
  std::printf("%s\n", table_of(rows).c_str());
  if (options.output.empty()) return Exit::success;
  write_small_file(options.output, compress::report_page(*job.data.validation,
                                                         file.tokenizer().kind == "byte" ? "byte" : "token", rows));
  std::printf("wrote %s\n", options.output.c_str());
  return Exit::success;
}

Exit run(const Options& options) {
  Session session;
  return or_stop_all(session.control(), [&] { return report(options, session); });
}

}  // namespace

void add_compress_report(CLI::App& compress, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      compress.add_subcommand("report", "Compare models: bytes, zeros and the loss on a job's data.validation");
  options->job.add(*command);
  command
      ->add_option("models", options->models,
                   "runs' directories, steps' or packed models; the first is what others are compared with")
      ->required()
      ->type_name("DIR|FILE...");
  command->add_option("-o,--output", options->output, "also write table and plot as one HTML file")->type_name("FILE");
  command->add_option("--samples", options->samples, "how many samples from the file's start; 0: all")
      ->capture_default_str();
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace tranche
