#include "launcher/top/watched_run.h"

#include <algorithm>
#include <chrono>

#include "launcher/http/exposition.h"
#include "launcher/progress.h"
#include "runtime/base/file.h"
#include "runtime/checkpoint/directory.h"
#include "runtime/checkpoint/manifest.h"

namespace tranche {
namespace {

constexpr const char* steps_file = "metrics.jsonl";
constexpr std::chrono::seconds a_while{60};  // without a step, that is nothing to wonder at

using FileTime = std::filesystem::file_time_type;

// Of its metrics.jsonl; none where it has no such file.
std::optional<FileTime> written(const std::filesystem::path& directory) {
  std::error_code error;
  const FileTime time = std::filesystem::last_write_time(directory / steps_file, error);
  if (error) return std::nullopt;
  return time;
}

std::filesystem::path newest_run() {
  std::filesystem::path newest;
  FileTime when = FileTime::min();
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator{"runs", error})
    if (const auto time = written(entry.path()); time && *time > when) {
      newest = entry.path();
      when = *time;
    }
  ensure(Exit::data, !newest.empty(), "there is no run under runs/: name a run's directory, or the port of its page");
  return newest;
}

}  // namespace

WatchedAs watched_as(const std::string& name) {
  if (name.empty()) return {.page = std::nullopt, .directory = newest_run()};
  if (std::filesystem::is_directory(name)) return {.page = std::nullopt, .directory = name};
  if (name.find_first_not_of("0123456789") == name.npos)
    return {.page = PageAddress{.port = port_number(name)}, .directory = {}};
  if (auto page = page_address(name)) return {.page = std::move(page), .directory = {}};
  ensure(Exit::usage, name.find("://") == name.npos, name,
         " is no page of a run: those are http://HOST:PORT/, with ?token=TOKEN where launch says so");
  fail(Exit::data, str(name, " is no run: there is no such directory"));
}

RunDirectory::RunDirectory(const std::filesystem::path& directory)
    : directory_(directory), tail_(directory / steps_file) {
  ensure(Exit::data, std::filesystem::is_regular_file(directory / steps_file), directory.string(),
         " is no run, or one whose first step is not done: it has no ", steps_file);
}

void RunDirectory::look(RunView& run) {
  run.run = directory_.string();
  const std::string where = (directory_ / steps_file).string();
  for (bool more = true; more;) {
    const MetricsTail::News news = tail_.poll();
    if (news.reset) run.steps.clear();
    for (const std::string& line : news.lines) run.add_line(line, where);
    more = !news.lines.empty();
  }
  if (!has_job_) read_job(run);
  if (const std::filesystem::path ranks = directory_ / ranks_file; std::filesystem::exists(ranks)) {
    const std::string text = read_small_file(ranks);
    if (text != ranks_text_) run.set_figures(parse_json(text, ranks.string(), Exit::data), ranks.string());
    ranks_text_ = text;
  }
  const auto time = written(directory_);
  if (!time) return;
  const auto silence = FileTime::clock::now() - *time;
  const bool done = run.steps_in_all != 0 && !run.steps.empty() && run.steps.back().step >= run.steps_in_all;
  const double seconds = std::chrono::duration<double>(silence).count();
  run.state = done ? "done" : str("last step ", duration_text(seconds), " ago");
  run.well = done || silence < a_while;
}

// Before the first checkpoint nothing in the directory says how long the run will be.
void RunDirectory::read_job(RunView& run) {
  const auto newest = checkpoint::find_newest_complete(directory_).folder;
  if (!newest) return;
  const Json job = checkpoint::read_manifest(*newest).state.job;
  const std::string where = newest->string();
  const auto number = [&](const Json& object, const char* key) {
    return member_or<std::size_t>(object, key, 0, where, Exit::checkpoint);
  };
  run.steps_in_all = number(job, "steps");
  run.tokens_per_step = static_cast<double>(
      number(job, "train_batch_size") *
      number(member_or<Json>(job, "data", Json::object(), where, Exit::checkpoint), "sequence_length"));
  has_job_ = true;
}

}  // namespace tranche
