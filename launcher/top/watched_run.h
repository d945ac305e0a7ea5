// Where `tranche top` finds a run: its directory, or the page that shows it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "launcher/http/event_stream.h"
#include "launcher/http/metrics_tail.h"
#include "launcher/top/run_view.h"

namespace tranche {

// What a person names: a port of this machine, "http://HOST:PORT/?token=TOKEN" (page_address), or a directory. A
// directory of that name wins over a page.
struct WatchedAs {
  std::optional<PageAddress> page;
  std::filesystem::path directory;
};
// "": the run under runs/ that was written to last. Throws Exit::usage for an address that no page has, and Exit::data
// where there is no such run.
WatchedAs watched_as(const std::string& name);

// A run's directory, which may be written to all the while.
class RunDirectory {
 public:
  // Throws Exit::data where it has no metrics.jsonl.
  explicit RunDirectory(const std::filesystem::path& directory);

  // Adds what is new. Throws Exit::data for a whole line that is none of metrics.jsonl; a torn one is left for later.
  void look(RunView& run);

 private:
  void read_job(RunView& run);

  std::filesystem::path directory_;
  MetricsTail tail_;
  bool has_job_ = false;
  std::string ranks_text_;
};

}  // namespace tranche
