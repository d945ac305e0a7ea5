// tranche report: the figures of runs as one page that needs nothing else.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>

#include "launcher/commands/commands.h"
#include "launcher/http/exposition.h"
#include "launcher/http/page.h"
#include "runtime/base/file.h"
#include "runtime/checkpoint/directory.h"
#include "runtime/checkpoint/manifest.h"

namespace tranche {
namespace {

struct Options {
  std::vector<std::string> runs;
  std::string output = "report.html";
};

// What the page shows of a step; memory and traffic only of the last.
constexpr const char* shown[]{"step",       "loss",    "learning_rate",     "gradient_norm",
                              "loss_scale", "skipped", "tokens_per_second", "saving_seconds"};

// Of a file's whole lines; a torn last one, of a run under way, is left out.
Json steps_of(const std::filesystem::path& file) {
  const std::string text = read_small_file(file);
  Json steps = Json::array();
  Json line;
  std::size_t begin = 0, number = 0;
  for (std::size_t end; (end = text.find('\n', begin)) != text.npos; begin = end + 1) {
    const std::string name = str(file.string(), ":", ++number);
    line = parse_json(std::string_view{text}.substr(begin, end - begin), name, Exit::data);
    Json step = Json::object();
    for (const char* key : shown) step[key] = member<Json>(line, key, name, Exit::data);
    steps.push_back(std::move(step));
  }
  if (!steps.empty())
    for (const char* key : {"peak_bytes", "communicated_bytes"})
      steps.back()[key] = member<Json>(line, key, str(file.string(), ":", number), Exit::data);
  return steps;
}

Json run_of(const std::string& directory) {
  const std::filesystem::path file = std::filesystem::path{directory} / "metrics.jsonl";
  ensure(Exit::data, std::filesystem::is_regular_file(file), directory, " is no run: it has no metrics.jsonl");
  Json run = {{"name", directory}, {"steps", steps_of(file)}};
  if (const std::filesystem::path ranks = std::filesystem::path{directory} / ranks_file; std::filesystem::exists(ranks))
    run["figures"] = read_json(ranks, Exit::data);
  if (const auto newest = checkpoint::find_newest_complete(directory).folder) {
    const checkpoint::Manifest manifest = checkpoint::read_manifest(*newest);
    const std::string where = newest->string();
    run["ranks"] = manifest.ranks;
    const Json model = member_or(manifest.state.job, "model", Json::object(), where, Exit::checkpoint);
    run["model"] = member_or(model, "model_type", std::string{"-"}, where, Exit::checkpoint);
    const Json zero = member_or(manifest.state.job, "zero_optimization", Json::object(), where, Exit::checkpoint);
    run["stage"] = member_or(zero, "stage", std::size_t{0}, where, Exit::checkpoint);
  }
  return run;
}

Exit run(const Options& options) {
  Json runs = Json::array();
  for (const std::string& directory : options.runs) runs.push_back(run_of(directory));
  write_small_file(options.output, report_page(runs));
  std::cout << options.output << ": " << runs.size() << (runs.size() == 1 ? " run\n" : " runs\n");
  return Exit::success;
}

}  // namespace

void add_report(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("report", "Write the figures of runs as one HTML page");
  command->add_option("runs", options->runs, "directories of runs, with their metrics.jsonl")
      ->required()
      ->type_name("DIR");
  command->add_option("-o,--output", options->output, "file to write")->type_name("FILE")->capture_default_str();
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace tranche
