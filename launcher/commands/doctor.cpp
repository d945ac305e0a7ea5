// tranche doctor: whether this machine has what training needs, before a job finds out.
#include <signal.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <thread>

#include "launcher/commands/commands.h"
#include "launcher/session.h"
#include "launcher/supervisor/process.h"
#include "launcher/supervisor/restarts.h"
#include "launcher/supervisor/start_line.h"
#include "launcher/table.h"
#include "runtime/base/file.h"
#include "runtime/device/memory_file.h"
#include "runtime/ops/instruction_path.h"

namespace tranche {
namespace {

struct Options {
  std::string mpirun, folder = ".";
  std::size_t ranks = 2;
  bool as_rank = false;
};

std::string bytes_text(double bytes) { return str(std::round(bytes / (1 << 30) * 10) / 10, " GiB"); }

std::string see_processor() {
  return str(std::thread::hardware_concurrency(), " threads in hardware, ", ops::name_of(ops::best_instruction_path()),
             " instructions");
}

std::string see_memory() {
  rlimit locked{};
  ::getrlimit(RLIMIT_MEMLOCK, &locked);
  const double bytes = static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  return str(bytes_text(bytes), ", of which ",
             locked.rlim_cur == RLIM_INFINITY ? "all" : bytes_text(static_cast<double>(locked.rlim_cur)),
             " may be locked");
}

std::string see_shared_memory() {
  const MemoryFile mine{1 << 16};
  MemoryFileView seen{mine.name()};
  mine.data()[5] = std::byte{42};
  check(seen.at(5, 1)[0] == std::byte{42}, "a memory file shows other bytes than were written to it");
  return "ranks of this host can read each other's";
}

std::string see_folder(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / str(".tranche-doctor-", ::getpid());
  write_small_file(file, "whether this can be written");
  remove_file(file);
  struct statvfs disk {};
  ensure(Exit::storage, ::statvfs(folder.c_str(), &disk) == 0, folder.string(), " cannot be looked at");
  return str(std::filesystem::absolute(folder).lexically_normal().string(), " can be written; ",
             bytes_text(static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize)), " free");
}

std::string see_ranks(const Options& options) {
  constexpr std::chrono::seconds limit{60};
  const auto begin = std::chrono::steady_clock::now();
  const auto spent = [&] { return std::chrono::steady_clock::now() - begin; };
  const Place place = find_place(options.mpirun, {});
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  const std::vector<std::string> line = start_line(place, options.ranks, {program, "doctor", "--as-rank"});
  Process process{line};
  while (!process.ended() && spent() < limit) std::this_thread::sleep_for(std::chrono::milliseconds{20});
  if (!process.ended()) process.signal(SIGKILL);
  ensure(Exit::ranks, process.ended().has_value(), "they did not meet in ", limit.count(), " s: ", shell_line(line));
  const Ending ending = ending_of(*process.ended());
  ensure(Exit::ranks, ending.end == End::finished, place.program, " ", ending.text, ": ", shell_line(line));
  return str(options.ranks, " of them, started by ", place.program, ", met within ",
             std::chrono::ceil<std::chrono::milliseconds>(spent()).count(), " ms");
}

Exit run(const Options& options) {
  if (options.as_rank) {
    Session session;
    session.control().barrier("doctor");
    return session.ranks() > 1 ? Exit::success : Exit::ranks;
  }
  Exit worst = Exit::success;
  std::vector<Row> rows;
  const auto look = [&](const std::string& name, const std::function<std::string()>& see) {
    try {
      rows.push_back({"ok", name, see()});
    } catch (const Error& error) {
      rows.push_back({"FAILED", name, error.what()});
      if (worst == Exit::success) worst = error.exit();
    }
  };
  look("processor", see_processor);
  look("memory", see_memory);
  look("shared memory", see_shared_memory);
  look("folder", [&] { return see_folder(options.folder); });
  look("ranks", [&] { return see_ranks(options); });
  std::cout << aligned(rows, rows.front().size()) << "\n";
  return worst;
}

}  // namespace

void add_doctor(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("doctor", "Try what training needs of this machine, and say what is missing");
  command->add_option("--mpirun", options->mpirun, "start ranks with this mpirun")->type_name("PATH");
  command->add_option("-n,--ranks", options->ranks, "ranks to start")
      ->check(CLI::Range(2, 1 << 20))
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--folder", options->folder, "where runs are to be saved")
      ->type_name("DIR")
      ->capture_default_str();
  command->add_flag("--as-rank", options->as_rank)->group("");
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace tranche
