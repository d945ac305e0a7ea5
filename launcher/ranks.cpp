#include "launcher/ranks.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <new>
#include <thread>
#include <vector>

#include "launcher/stop.h"
#include "runtime/base/log.h"

namespace tranche {
namespace {

// What main does with an exception, as a code and a line.
struct Failure {
  Exit exit;
  std::string line;
};

Failure describe(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Error& error) {
    return {error.exit(), error.what()};
  } catch (const std::bad_alloc&) {
    return {Exit::out_of_memory, "the machine's memory is used up"};
  } catch (const std::exception& error) {
    return {Exit::internal, str("a defect of this program: ", error.what())};
  }
}

}  // namespace

void together(Communicator& world, const std::string& label, const std::function<void()>& work) {
  double code = 0;
  std::string line;
  try {
    work();
  } catch (...) {
    const Failure failure = describe(std::current_exception());
    code = static_cast<double>(failure.exit);
    line = failure.line;
  }
  const std::vector<double> codes = world.gather(std::span{&code, 1}, label);
  for (std::size_t rank = 0; rank < codes.size(); ++rank) {
    if (codes[rank] == 0) continue;
    if (rank == world.rank()) log::error(line);
    world.barrier(label);  // the line is out before any rank ends, and mpirun the rest with it
    throw AlreadyReported{static_cast<Exit>(codes[rank])};
  }
}

Exit or_stop_all(Communicator& world, const std::function<Exit()>& body) {
  try {
    return body();
  } catch (const AlreadyReported&) {
    throw;
  } catch (...) {
    const Failure failure = describe(std::current_exception());
    // What fails on several ranks alike is told by the lowest: its abort ends those that wait here. That a peer is
    // gone, or is elsewhere, may only follow from what went wrong there, which comes first.
    stop_at_once();
    constexpr std::size_t most_turns = 10;
    constexpr std::chrono::milliseconds turn{150};
    const bool follows = failure.exit == Exit::ranks;
    std::this_thread::sleep_for(turn *
                                static_cast<int>(std::min(world.rank(), most_turns) + (follows ? most_turns : 0)));
    log::error(failure.line);
    if (world.size() > 1) world.abort(static_cast<int>(failure.exit));
    return failure.exit;
  }
}

void check_same_job(const Job& job, Communicator& world) {
  const std::vector<std::string> jobs = world.gather_text(job.effective().dump(), "jobs");
  together(world, "jobs", [&] {
    for (std::size_t rank = 1; rank < jobs.size(); ++rank)
      ensure(Exit::ranks, jobs[rank] == jobs[0], "ranks were started with different jobs: ",
             first_difference(parse_json(jobs[0], "the job of rank 0", Exit::ranks),
                              parse_json(jobs[rank], str("the job of rank ", rank), Exit::ranks)),
             " on ranks 0 and ", rank);
  });
}

}  // namespace tranche
