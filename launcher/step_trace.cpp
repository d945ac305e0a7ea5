#include "launcher/step_trace.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <span>
#include <utility>
#include <vector>

#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/base/trace.h"

namespace tranche {
namespace {

struct Steps {
  std::uint64_t first = 0, last = 0;
};

Steps parse_steps(const std::string& text) {
  const char *at = text.data(), *const end = at + text.size();
  Steps steps;
  const auto number = [&](std::uint64_t& into) {
    const auto [next, error] = std::from_chars(at, end, into);
    at = next;
    return error == std::errc{};
  };
  bool good = number(steps.first);
  steps.last = steps.first;
  if (good && at != end) good = *at++ == '-' && number(steps.last) && at == end;
  ensure(Exit::usage, good && steps.first >= 1 && steps.first <= steps.last, "--trace-steps is '", text,
         "': expected a step or a range of them, as in 7 or 7-9");
  return steps;
}

// The same for all processes whose steady clocks are one.
std::string name_of_clock() {
  std::string boot;
  std::ifstream{"/proc/sys/kernel/random/boot_id"} >> boot;
  return boot;
}

// What rank 0 makes of the ranks' parts, in Chrome's format.
class TraceFile {
 public:
  explicit TraceFile(const std::string& path) : path_(path), file_(File::create(path + ".partial")) {
    add("{\"displayTimeUnit\": \"ms\", \"traceEvents\": [");
  }
  void add_part(std::string_view events) {
    if (events.empty()) return;
    add(std::exchange(first_, false) ? "\n" : ",\n");
    add(events);
  }
  void close() {
    add("\n]}\n");
    file_.close();
    rename_path(file_.path(), path_);
  }

 private:
  void add(std::string_view text) {
    file_.write(written_, std::as_bytes(std::span{text}));
    written_ += text.size();
  }

  std::string path_;
  File file_;
  std::uint64_t written_ = 0;
  bool first_ = true;
};

}  // namespace

void TraceOptions::add(CLI::App& command) {
  CLI::Option* trace =
      command.add_option("--trace", file, "record some steps of all ranks in FILE, for Perfetto (docs/trace.md)")
          ->type_name("FILE");
  command
      .add_option("--trace-steps", steps,
                  "the steps to record, as the log counts them (default: this run's 2nd and 3rd)")
      ->type_name("FIRST-LAST")
      ->needs(trace);
}

void TraceOptions::check(std::size_t rank) const {
  if (!steps.empty()) parse_steps(steps);
  if (file.empty() || rank != 0) return;
  const std::filesystem::path folder = std::filesystem::path{file}.parent_path();
  ensure(Exit::usage, ::access(folder.empty() ? "." : folder.c_str(), W_OK) == 0, "--trace is ", file,
         ", in a folder that is not there or cannot be written to");
  ensure(Exit::usage, !std::filesystem::is_directory(file), "--trace is ", file, ", which is a folder");
}

StepTrace::StepTrace(const TraceOptions& options, std::uint64_t done, Communicator& control)
    : file_(options.file), control_(control) {
  if (file_.empty()) return;
  const Steps steps = options.steps.empty() ? Steps{done + 2, done + 3} : parse_steps(options.steps);
  ensure(Exit::usage, steps.first > done, "--trace-steps is ", options.steps, ", but ", done,
         " steps are done already");
  first_ = steps.first;
  last_ = steps.last;
  state_ = State::to_come;
}

void StepTrace::before_step(std::uint64_t done) {
  if (state_ == State::recording && done == last_) finish();
  if (state_ == State::to_come && done + 1 == first_) begin();
}

void StepTrace::finish() {
  if (state_ == State::recording) write();
  if (state_ == State::to_come)
    log::warning(str("there is no trace in ", file_, ": the run ended before step ", first_));
  state_ = State::over;
}

// Times begin together: on ranks of one host to the nanosecond, for they have one clock.
void StepTrace::begin() {
  control_.barrier("trace");
  const std::string mine = name_of_clock();
  origin_ = trace::now();
  const std::string first = control_.gather_text(str(mine, " ", origin_), "trace").front();
  if (const auto space = first.find(' '); first.substr(0, space) == mine) origin_ = std::stoll(first.substr(space));
  trace::start();
  state_ = State::recording;
}

// The ranks' parts go by one after another, so that no rank holds more than one of them beside its own.
void StepTrace::write() {
  const trace::Recording recording = trace::stop();
  const std::string mine = trace::chrome_events(recording.events, control_.rank(), origin_);
  const double told[] = {static_cast<double>(mine.size()), static_cast<double>(recording.dropped)};
  const std::vector<double> all = control_.gather(told, "trace");  // (ranks, 2)
  std::optional<TraceFile> file;
  std::string failure;
  const auto at_rank_0 = [&](auto work) {  // a trace is not worth the run
    if (control_.rank() != 0 || !failure.empty()) return;
    try {
      work();
    } catch (const Error& error) {
      failure = error.what();
    }
  };
  at_rank_0([&] { file.emplace(file_); });
  std::size_t dropped = 0;
  for (std::size_t rank = 0; rank < control_.size(); ++rank) {
    std::string part = rank == control_.rank() ? mine : std::string(static_cast<std::size_t>(all[2 * rank]), '\0');
    control_.broadcast(std::as_writable_bytes(std::span{part}), rank, "trace").wait();
    at_rank_0([&] { file->add_part(part); });
    dropped += static_cast<std::size_t>(all[2 * rank + 1]);
  }
  at_rank_0([&] { file->close(); });
  if (!failure.empty())
    log::warning(str("there is no trace of steps ", first_, " to ", last_, ": ", failure));
  else
    log::info(str("wrote a trace of steps ", first_, " to ", last_, " to ", file_));
  if (dropped != 0)
    log::warning(str("the trace lacks ", dropped, " spans for want of room: record fewer steps (--trace-steps)"));
}

}  // namespace tranche
