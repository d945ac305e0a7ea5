// A rank that takes part in barriers and, when it is started for the first time, does one thing wrong:
//   faulty_rank hang|skip|reorder|stop|stopall|absent|early|nothing [--resume]
#include <signal.h>

#include <chrono>
#include <string_view>
#include <thread>

#include "launcher/control/reporter.h"
#include "launcher/ranks.h"
#include "launcher/session.h"
#include "runtime/comm/launched_as.h"

namespace tranche {
namespace {

void work(Session& session, Reporter& reporter, std::string_view fault) {
  const std::unique_ptr<Communicator> world = session.make_control();
  world->observe([&](const CollectiveRecord& record) { reporter.issued(record); });
  reporter.phase("training");
  for (std::uint64_t step = 1; step <= 20; ++step) {
    const bool now = step == 10 && (session.rank() == 1 || fault == "stopall");
    reporter.step(step);
    std::string first = "gradients", second = "parameters";
    if (now && fault == "reorder") std::swap(first, second);
    if (now && fault == "hang") std::this_thread::sleep_for(std::chrono::hours{1});
    if (now && fault == "stopall") std::this_thread::sleep_for(std::chrono::milliseconds{500});  // which is told
    if (now && fault.starts_with("stop")) ::raise(SIGSTOP);
    if (!now || fault != "skip") world->barrier(first);
    world->barrier(second);
  }
}

}  // namespace
}  // namespace tranche

int main(int argc, char** argv) {
  using namespace tranche;
  const bool again = argc > 2 && std::string_view{argv[2]} == "--resume";
  const std::string_view fault = again ? "nothing" : argv[1];
  const LaunchedAs launched = launched_as();
  if (fault == "absent" && launched.rank == 1) ::raise(SIGSTOP);
  auto reporter = std::make_unique<Reporter>(launched.rank, launched.ranks);
  if (fault == "early" && launched.rank == 1) ::raise(SIGSTOP);
  Session session;
  return static_cast<int>(or_stop_all(session.control(), [&] {
    const std::unique_ptr<Reporter> leaves = std::move(reporter);
    work(session, *leaves, fault);
    return Exit::success;
  }));
}
