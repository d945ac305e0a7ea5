// What the ranks of a job do together, so that a failure is told once and no rank waits for one that has gone.
#pragma once

#include <functional>
#include <string>

#include "launcher/job.h"
#include "runtime/base/error.h"
#include "runtime/comm/communicator.h"

namespace tranche {

// Thrown where an error was already printed: only the exit code remains to be told.
struct AlreadyReported {
  Exit exit;
};

// Does `work` on this rank and every other. If it throws on any, the lowest such rank prints its error, and it is
// thrown as AlreadyReported on all of them. `work` must not communicate. Collective; `label` is for reports.
void together(Communicator& world, const std::string& label, const std::function<void()>& work);

// Does `body`; if it throws, prints the error and stops every rank of the job with its exit code. Inside of `together`
// that is done already: then each rank throws AlreadyReported to main. Returns what body returns.
Exit or_stop_all(Communicator& world, const std::function<Exit()>& body);

// Every rank was started with the same job: Exit::ranks otherwise, naming the key that differs. Collective.
void check_same_job(const Job& job, Communicator& world);

}  // namespace tranche
