#include "launcher/doctor/ranks.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <thread>

#include "launcher/control/machine.h"
#include "launcher/doctor/links.h"
#include "launcher/doctor/stopped.h"
#include "launcher/session.h"
#include "launcher/supervisor/process.h"
#include "launcher/supervisor/restarts.h"
#include "runtime/base/file.h"
#include "runtime/comm/mpi_library.h"

namespace tranche::doctor {
namespace {

// Standard output of others: a file without a name, so that nobody waits for whoever reads it.
class Output {
 public:
  Output() : descriptor_(::memfd_create("output", MFD_CLOEXEC)) {
    ensure(Exit::out_of_memory, descriptor_ >= 0, "no memory file can be made (memfd_create)");
  }
  ~Output() { ::close(descriptor_); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  int descriptor() const { return descriptor_; }
  std::string text() const {
    const File file = File::open(str("/proc/self/fd/", descriptor_));
    std::string text(file.size(), '\0');
    file.read(0, std::as_writable_bytes(std::span{text.data(), text.size()}));
    return text;
  }

 private:
  int descriptor_;
};

}  // namespace

Started start_ranks(const Place& place, std::size_t ranks) {
  constexpr std::chrono::seconds limit{60};
  const auto begin = std::chrono::steady_clock::now();
  const auto spent = [&] { return std::chrono::steady_clock::now() - begin; };
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  const std::vector<std::string> line = start_line(place, ranks, {program, "doctor", "--as-rank"});
  const Output output;
  Process process{line, output.descriptor()};
  while (!process.ended() && spent() < limit) {
    end_if_stopped();
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  }
  if (!process.ended()) process.signal(SIGKILL);
  ensure(Exit::ranks, process.ended().has_value(), "they did not meet in ", limit.count(), " s: ", shell_line(line));
  const Ending ending = ending_of(*process.ended());
  ensure(Exit::ranks, ending.end == End::finished, place.program, " ", ending.text, ": ", shell_line(line));
  const std::optional<RanksReport> report = find_report(output.text());
  ensure(Exit::ranks, report && report->ranks.size() == ranks, place.program, " ended well, but ",
         report ? report->ranks.size() : 0, " ranks told of themselves: ", shell_line(line));
  return {.report = *report,
          .finding = {str(ranks, " on ", hosts_text(*report), ", started by ", place.program, ", met and measured in ",
                          std::chrono::ceil<std::chrono::milliseconds>(spent()).count(), " ms")}};
}

Exit be_rank() {
  Session session;
  ensure(Exit::ranks, session.ranks() > 1, "a rank found no other: what started it is no mpirun of ", mpi_library(),
         ", which this program is linked with");
  const Links links = measure_links(session);
  const std::string mine = text_of({.host = this_machine().name,
                                    .cores = cores_of_this_process(),
                                    .threads = session.make_cpu_device({})->pool().threads(),
                                    .rate = links.rates[session.rank()]});
  RanksReport report{.mpi = mpi_library(),
                     .thread_level = mpi_thread_level(),
                     .ranks = {},
                     .row = links.row,
                     .all_gather = links.all_gather,
                     .latency = links.latency};
  for (const std::string& text : session.control().gather_text(mine, "reports"))
    report.ranks.push_back(read_rank(text));
  if (session.rank() == 0) std::cout << line_of(report) << std::endl;
  return Exit::success;
}

}  // namespace tranche::doctor
