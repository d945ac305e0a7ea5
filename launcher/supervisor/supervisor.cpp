#include "launcher/supervisor/supervisor.h"

#include <signal.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/signal_set.hpp>
#include <optional>

#include "launcher/control/channel.h"
#include "launcher/control/token.h"
#include "launcher/http/server.h"
#include "launcher/supervisor/process.h"
#include "launcher/supervisor/restarts.h"
#include "launcher/supervisor/whereabouts.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"

namespace tranche {
namespace {

namespace asio = boost::asio;

// Ranks that an mpirun left behind when it was killed notice it within this time, or are killed.
constexpr std::chrono::seconds farewell{5};
constexpr std::chrono::milliseconds look_again{100};
// Ranks that were asked to stop are asked again: the first time they may not have been there yet to hear it.
constexpr std::chrono::seconds tell_again{5};
// A rank that talks has told where it is within this time.
constexpr std::chrono::seconds answer{1};
constexpr std::size_t most_events = 20;  // on the page

using Clock = std::chrono::steady_clock;

class Supervisor {
 public:
  explicit Supervisor(const Supervised& job) : job_(job), places_(job.ranks) {
    adopt_orphans();
    hear_stop();
    hear_child();
    if (job_.port) show_page();
  }
  ~Supervisor() {
    std::error_code ignored;
    if (!page_token_.empty()) std::filesystem::remove(page_token_, ignored);
  }
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  Exit run() {
    Restarts restarts{job_.restarts, reached_in(job_.directory)};
    std::size_t ranks = job_.ranks;
    for (bool resumes = job_.resume;; resumes = true) {
      const Ending ending = attempt(ranks, resumes);
      if (ending.end == End::finished) return Exit::success;
      // A second signal makes mpirun end in its own way.
      if (ending.end == End::stopped || stops_ > 1 || (stops_ != 0 && ending.end == End::lost)) return Exit::stopped;
      const std::string what = str(job_.place.program, " ", ending.text);
      // The ranks have said why. Codes of ours go on as they are; others are mpirun's own.
      if (ending.end == End::refused) fail(refusal(ending.code), what + "; starting again would change nothing");
      for (const Machine& machine : ending.machines) job_.place.hosts = without_host(job_.place.hosts, machine);
      if (!job_.refill) places_ -= std::min(ending.lost, places_ - 1);
      ranks = ranks_for(places_, job_.blocks);
      const Reached reached = reached_in(job_.directory);
      const auto wait = restarts.next(reached);
      ensure(ending.fault, wait.has_value(), what, "; gave up after ", restarts.in_vain(),
             " restarts that came no further than step ", reached.told, " (--max-restarts)");
      happens(str(what, "; going on from ", reached.saved == 0 ? "the start" : str("step ", reached.saved), " with ",
                  ranks, ranks == 1 ? " rank" : " ranks", " in ", wait->count(), " s (restart ", restarts.in_vain(),
                  " of ", job_.restarts, " without progress)"));
      pause(*wait);
      ++restarted_;
      if (stops_ != 0) return Exit::stopped;
    }
  }

 private:
  RunStatus status() const {
    return {.run = job_.directory.string(),
            .state = stops_ != 0           ? "stopping"
                     : channel_ != nullptr ? "running"
                                           : "waiting to start again",
            .ranks = ranks_,
            .restarts = restarted_,
            .dropped = channel_ != nullptr ? channel_->dropped() : 0,
            .roll = channel_ != nullptr ? &channel_->roll() : nullptr,
            .events = events_,
            .steps = job_.steps,
            .tokens_per_step = job_.tokens_per_step};
  }

  void show_page() {
    PagePlace place{.address = job_.bind, .port = *job_.port};
    const bool loopback = is_loopback(job_.bind);
    if (!loopback) {
      page_token_ = job_.directory / "page-token";
      place.token = new_token();
      place.token_told = str("The token is in ", page_token_.string(), ".");
    }
    page_.emplace(io_, place, HttpServer::Source{job_.directory / "metrics.jsonl", [this] { return status(); }});
    if (loopback) {
      log::info(str("this run: http://", url_host(job_.bind), ":", page_->port(), "/"));
      return;
    }
    create_folder(job_.directory);
    write_token(page_token_, place.token);
    const bool all = asio::ip::make_address(job_.bind).is_unspecified();
    const std::uint16_t port = page_->port();
    // Not the token itself: on a cluster everybody may read what a job says.
    log::info(str("this run: http://", all ? this_machine().name : url_host(job_.bind), ":", port, "/?token=$(cat ",
                  page_token_.string(), ")"));
    log::warning(
        str("this page is not encrypted: who can read the network can read it, and its token; without --bind, "
            "ssh -L ",
            port, ":127.0.0.1:", port, " ", this_machine().name, " brings it encrypted"));
  }

  static std::string url_host(const std::string& address) {
    return address.find(':') == address.npos ? address : str("[", address, "]");
  }

  static Exit refusal(int code) {
    return code <= static_cast<int>(Exit::storage) ? static_cast<Exit>(code) : Exit::internal;
  }

  // From a start to its end, whoever brought that about.
  Ending attempt(std::size_t ranks, bool resumes) {
    ControlChannel::Options options{.one_host = job_.place.one_host(), .shared = job_.directory, .pace = job_.pace};
    if (!job_.place.hosts.empty()) options.reached_as = address_towards(names_of(job_.place.hosts));
    ControlChannel channel{io_, ranks, options};
    const std::uint64_t killed_before = killed_for_memory();
    Process process{line_of(job_, ranks, resumes, channel.environment())};
    process_ = &process;
    channel_ = &channel;
    ranks_ = ranks;
    const std::optional<Roll::Verdict> verdict = watch(process, channel.roll());
    io_.poll();  // who has gone by now
    const Clock::time_point end = Clock::now();
    process_ = nullptr;
    channel_ = nullptr;
    keep_figures(channel.roll());
    outlive_children(farewell);
    Ending ending = ending_of(*process.ended());
    if (channel.dropped() != 0)
      log::info(str(channel.dropped(), " connections to the supervisor were none of its ranks' and were dropped"));
    if (!verdict) {
      const bool for_memory = ending.code == 128 + SIGKILL && killed_for_memory() != killed_before;
      ending = explained(std::move(ending), channel.roll(), end);
      return for_memory ? ending_of_killed_for_memory(std::move(ending)) : ending;
    }
    const std::string what = verdict->text.substr(0, verdict->text.find('\n'));  // the table has been shown
    leave_out_absent(channel.roll(), ranks);
    // That nobody is heard of says nothing about any one place.
    const std::size_t lost = verdict->lost.size() < ranks ? verdict->lost.size() : 0;
    return {End::lost,      ending.code, "was ended: " + what,
            verdict->fault, lost,        channel.roll().machines_without(verdict->lost)};
  }

  // Hosts from which no rank has come, although others have: they are down, or nothing can be started there.
  void leave_out_absent(const Roll& roll, std::size_t ranks) {
    if (roll.missing().empty()) return;
    std::vector<Machine> arrived;
    for (const Roll::Rank& rank : roll.ranks())
      if (rank.joined) arrived.push_back(rank.machine);
    if (!arrived.empty()) job_.place.hosts = without_absent(job_.place.hosts, ranks, arrived);
  }

  // Waits for the end; ends the job itself when its ranks stand still, and then says why.
  std::optional<Roll::Verdict> watch(Process& process, Roll& roll) {
    std::optional<Roll::Verdict> verdict;
    Clock::time_point looked = Clock::now(), ended_at = Clock::time_point::max();
    while (!process.ended()) {
      wait(look_again);
      const Clock::time_point now = Clock::now();
      if (now - looked > 10 * look_again) roll.excuse(now);  // this process was stopped, not the ranks
      looked = now;
      if (stops_ == 1 && now - told_to_stop_ > tell_again) tell_to_stop(process);
      for (const std::string& each : roll.pace().judge(now)) happens(each);
      if (!verdict && (verdict = roll.judge(job_.patience, now))) {
        happens(str("ending the ranks: ", verdict->text, "\n", find_ranks(roll)));
        process.signal(SIGTERM);
        ended_at = looked = Clock::now();
      }
      if (verdict && now - ended_at > farewell) process.signal(SIGKILL);
    }
    return verdict;
  }

  // Asks all ranks where they are, and waits for the answers of those that still talk.
  std::string find_ranks(const Roll& roll) {
    const Clock::time_point asked = Clock::now();
    channel_->ask_for_stacks();
    while (!all_have_answered(roll, asked - answer) && Clock::now() - asked < answer) wait(look_again);
    return whereabouts(roll);
  }

  // On the terminal, and on the page.
  void happens(const std::string& what) {
    log::info(what);
    events_.push_back(what.substr(0, what.find('\n')));  // a table has its own place there
    if (events_.size() > most_events) events_.erase(events_.begin());
  }

  // For reports: what the page shows of ranks does not come from metrics.jsonl.
  void keep_figures(const Roll& roll) const {
    if (std::ranges::none_of(roll.ranks(), [](const Roll::Rank& rank) { return rank.activity.steps != 0; })) return;
    try {
      write_small_file(job_.directory / ranks_file, figures_of_ranks(roll).dump() + "\n");
    } catch (const Error& error) {
      log::warning(str("a report will not show what ranks said: ", error.what()));
    }
  }

  // With what the ranks said last, where they were lost.
  Ending explained(Ending ending, const Roll& roll, Clock::time_point now) {
    // What mpirun says of a host on which it cannot start ranks, and now and then of one that goes while they run.
    if (ending.code == host_refused && roll.complete()) ending = ending_of_lost_host(ending.code);
    if (ending.end != End::lost) return ending;
    const bool whole_host = ending.code == host_lost || ending.code == host_refused;
    if (const auto verdict = whole_host ? roll.judge_lost_host(now) : roll.judge_ended(now)) {
      happens(verdict->text);
      ending.fault = verdict->fault;
      ending.lost = verdict->lost.size();
      if (whole_host) ending.machines = roll.machines_without(verdict->lost);
    }
    return ending;
  }

  void pause(std::chrono::seconds time) {
    const Clock::time_point end = Clock::now() + time;
    while (stops_ == 0 && Clock::now() < end) wait(look_again);
  }

  // Runs what there is to run for so long, or until something has happened.
  void wait(std::chrono::milliseconds at_most) { io_.run_one_for(at_most); }

  // mpirun and srun pass SIGUSR1 on to every rank, and go on themselves (launcher/stop.h).
  void tell_to_stop(const Process& process) {
    process.signal(SIGUSR1);
    told_to_stop_ = Clock::now();
  }

  void hear_stop() {
    stop_signals_.async_wait([this](boost::system::error_code error, int) {
      if (error) return;
      ++stops_;
      if (process_ != nullptr && stops_ == 1) tell_to_stop(*process_);
      if (process_ != nullptr && stops_ > 1) process_->signal(stops_ == 2 ? SIGTERM : SIGKILL);
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

  Supervised job_;      // less the hosts that are lost
  std::size_t places_;  // where ranks can run
  std::size_t stops_ = 0;
  Clock::time_point told_to_stop_{};
  std::size_t ranks_ = 0, restarted_ = 0;
  std::vector<std::string> events_;    // what the page tells
  Process* process_ = nullptr;         // of the start under way
  ControlChannel* channel_ = nullptr;  // likewise
  asio::io_context io_{1};
  asio::signal_set stop_signals_{io_, SIGINT, SIGTERM};
  asio::signal_set child_signals_{io_, SIGCHLD};
  std::optional<HttpServer> page_;
  std::filesystem::path page_token_;  // empty: none
};

}  // namespace

std::vector<std::string> line_of(const Supervised& job, std::size_t ranks, bool resumes,
                                 const std::vector<std::string>& environment) {
  Place place = job.place;
  place.passed.insert(place.passed.end(), environment.begin(), environment.end());
  std::vector<std::string> command = job.command;
  if (resumes) command.emplace_back("--resume");
  return start_line(place, ranks, command);
}

Exit supervise(const Supervised& job) { return Supervisor{job}.run(); }

}  // namespace tranche
