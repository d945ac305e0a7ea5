// What the supervisor knows of each rank, and what is wrong with them. Times are given: nothing here looks at a clock.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "launcher/control/messages.h"
#include "launcher/control/pace.h"
#include "launcher/table.h"
#include "runtime/base/error.h"

namespace tranche {

// "rank 1", "ranks 0, 1"; with more than `most`, "ranks 0, 1 and 5 more".
std::string ranks_text(const std::vector<std::size_t>& ranks, std::size_t most = SIZE_MAX);

class Roll {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // Of a job of so many ranks that is started now, none of which has been heard of.
  Roll(std::size_t ranks, Time now, std::chrono::milliseconds pace_window = std::chrono::seconds{10})
      : ranks_(ranks), began_(now), pace_(ranks, pace_window) {}

  // False if it cannot be one of them: a number out of range, a job of another size, or a rank that is there already.
  bool joins(const Hello& hello, Time now);
  void says(std::size_t rank, const Activity& activity, Time now);
  // Its connection is closed. The first of those that had not said that they leave is remembered, with the table of
  // that moment: others follow only because it is gone.
  void parts(std::size_t rank, Time now);
  // The supervisor itself was held up, so that what it heard last is no sign of anything.
  void excuse(Time now);

  struct Gone {
    std::size_t rank = 0;
    std::string table;
  };
  const std::optional<Gone>& first_gone() const { return first_gone_; }
  bool complete() const;  // every rank has joined

  // How the ranks ended that are judged here: as exit codes of the job (docs/launch.md).
  static constexpr Exit gone{9}, silent{10}, hang{11}, disagree{12};
  struct Verdict {
    Exit fault = gone;
    std::string text;
    std::vector<std::size_t> lost{};  // ranks without which the job has to go on
  };
  struct Patience {
    std::chrono::milliseconds silence{30'000};   // without a word from a rank that is connected
    std::chrono::milliseconds stall{600'000};    // in which no rank comes to another step, phase or collective
    std::chrono::milliseconds arrival{300'000};  // from the start, in which every rank connects
  };
  // What is wrong now. Nothing about ranks that are gone: mpirun and srun end the job for those. Ranks that have not
  // come are missed only while nobody has met the others in MPI; later they are there, and cannot reach us.
  std::optional<Verdict> judge(const Patience& patience, Time now) const;
  // Of ranks that have ended: in different collectives, or one that was gone first.
  std::optional<Verdict> judge_ended(Time now) const;
  // The same where mpirun lost a whole host: the one whose ranks fell silent, or were the first to go; all its ranks
  // are lost.
  std::optional<Verdict> judge_lost_host(Time now) const;
  // Those that have no rank but lost ones; none if no machine is left.
  std::vector<Machine> machines_without(const std::vector<std::size_t>& lost) const;
  // Ranks that have never connected.
  std::vector<std::size_t> missing() const;

  // What was heard of one rank.
  struct Rank {
    bool joined = false, connected = false;
    Machine machine;
    std::int64_t pid = 0;
    Activity activity;
    Time heard{}, moved{};
    std::vector<std::string> stack{};  // when it was asked last
  };
  const std::vector<Rank>& ranks() const { return ranks_; }

  Pace& pace() { return pace_; }
  const Pace& pace() const { return pace_; }

  // Cells for each rank, and above them their names.
  std::vector<Row> rows(Time now) const;
  // The same as text.
  std::string table(Time now) const;

 private:
  bool met() const;
  std::string difference() const;
  std::string laggards() const;

  std::vector<Rank> ranks_;
  Time began_;
  std::optional<Gone> first_gone_;
  Pace pace_;
};

}  // namespace tranche
