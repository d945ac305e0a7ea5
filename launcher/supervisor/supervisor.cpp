#include "launcher/supervisor/supervisor.h"

#include <signal.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "launcher/supervisor/process.h"
#include "launcher/supervisor/restarts.h"
#include "runtime/base/log.h"

namespace tranche {
namespace {

namespace asio = boost::asio;

// Ranks that an mpirun left behind when it was killed notice it within this time, or are killed.
constexpr std::chrono::seconds farewell{5};

class Supervisor {
 public:
  explicit Supervisor(const Supervised& job) : job_(job), places_(job.ranks) {
    adopt_orphans();
    hear_stop();
    hear_child();
  }

  Exit run() {
    Restarts restarts{job_.restarts, reached_in(job_.directory)};
    std::size_t ranks = job_.ranks;
    for (bool resumes = job_.resume;; resumes = true) {
      const Ending ending = attempt(line_of(job_, ranks, resumes));
      if (ending.end == End::finished) return Exit::success;
      if (ending.end == End::stopped || (stops_ != 0 && ending.end == End::lost)) return Exit::stopped;
      const std::string what = str(job_.place.program, " ", ending.text);
      // The ranks have said why. Codes of ours go on as they are; others are mpirun's own.
      if (ending.end == End::refused) fail(refusal(ending.code), what + "; starting again would change nothing");
      if (!job_.refill && places_ > 1) --places_;
      ranks = ranks_for(places_, job_.blocks);
      const Reached reached = reached_in(job_.directory);
      const auto wait = restarts.next(reached);
      ensure(Exit::ranks, wait.has_value(), what, "; gave up after ", restarts.in_vain(),
             " restarts that came no further than step ", reached.told, " (--max-restarts)");
      log::info(str(what, "; going on from ", reached.saved == 0 ? "the start" : str("step ", reached.saved), " with ",
                    ranks, ranks == 1 ? " rank" : " ranks", " in ", wait->count(), " s (restart ", restarts.in_vain(),
                    " of ", job_.restarts, " without progress)"));
      pause(*wait);
      if (stops_ != 0) return Exit::stopped;
    }
  }

 private:
  static Exit refusal(int code) {
    return code <= static_cast<int>(Exit::storage) ? static_cast<Exit>(code) : Exit::internal;
  }

  Ending attempt(const std::vector<std::string>& line) {
    Process process{line};
    process_ = &process;
    while (!process.ended()) io_.run_one();
    process_ = nullptr;
    outlive_children(farewell);
    return ending_of(*process.ended());
  }

  void pause(std::chrono::seconds time) {
    asio::steady_timer timer{io_, time};
    bool over = false;
    timer.async_wait([&over](boost::system::error_code) { over = true; });
    while (!over && stops_ == 0) io_.run_one();
    timer.cancel();
    while (!over) io_.run_one();  // its handler refers to this scope
  }

  // mpirun and srun pass SIGUSR1 on to every rank, and go on themselves (launcher/stop.h).
  void hear_stop() {
    stop_signals_.async_wait([this](boost::system::error_code error, int) {
      if (error) return;
      ++stops_;
      if (process_ != nullptr) process_->signal(stops_ == 1 ? SIGUSR1 : stops_ == 2 ? SIGTERM : SIGKILL);
      log::info(stops_ == 1 ? "stopping: the ranks finish their step and save it; once more ends them at once"
                            : "ending the ranks");
      hear_stop();
    });
  }

  // Only wakes run_one: who waits then asks the process.
  void hear_child() {
    child_signals_.async_wait([this](boost::system::error_code error, int) {
      if (!error) hear_child();
    });
  }

  const Supervised& job_;
  std::size_t places_;  // where ranks can run
  std::size_t stops_ = 0;
  Process* process_ = nullptr;
  asio::io_context io_{1};
  asio::signal_set stop_signals_{io_, SIGINT, SIGTERM};
  asio::signal_set child_signals_{io_, SIGCHLD};
};

}  // namespace

std::vector<std::string> line_of(const Supervised& job, std::size_t ranks, bool resumes) {
  std::vector<std::string> command = job.command;
  if (resumes) command.emplace_back("--resume");
  return start_line(job.place, ranks, command);
}

Exit supervise(const Supervised& job) { return Supervisor{job}.run(); }

}  // namespace tranche
