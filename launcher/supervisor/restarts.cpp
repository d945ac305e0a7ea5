#include "launcher/supervisor/restarts.h"

#include <string.h>
#include <sys/wait.h>

#include <algorithm>
#include <fstream>

#include "runtime/base/corrupted.h"
#include "runtime/checkpoint/directory.h"
#include "runtime/train/metrics.h"

namespace tranche {
namespace {

std::string signal_text(int number) { return str("signal ", number, " (", ::strsignal(number), ")"); }

}  // namespace

Ending ending_of_lost_host(int code) {
  return {End::lost, code, str("ended with ", code, ": a host could not be reached any more")};
}

Ending ending_of(int status) {
  if (WIFSIGNALED(status))
    return {End::lost, 128 + WTERMSIG(status), str("was itself killed by ", signal_text(WTERMSIG(status)))};
  const int code = WEXITSTATUS(status);
  const std::string text = str("ended with ", code);
  if (code == static_cast<int>(Exit::success)) return {End::finished, code, text};
  if (code == static_cast<int>(Exit::stopped)) return {End::stopped, code, text};
  if (code == static_cast<int>(Exit::ranks)) return {End::lost, code, text + ": ranks could not go on together"};
  if (code == static_cast<int>(corrupted))
    return {End::spoiled, code, text + ": what a rank holds has changed by itself", corrupted, 0};
  if (code == host_lost) return ending_of_lost_host(code);
  if (code > 128 && code < 128 + NSIG)
    return {End::lost, code, str(text, ": a rank was killed by ", signal_text(code - 128))};
  return {End::refused, code, text};
}

std::uint64_t killed_for_memory() {
  std::ifstream file{"/proc/vmstat"};
  std::string name;
  for (std::uint64_t value; file >> name >> value;)
    if (name == "oom_kill") return value;
  return 0;
}

Ending ending_of_killed_for_memory(Ending ending) {
  ending.text +=
      "; meanwhile this machine's kernel has killed a process for want of memory (dmesg tells which): fewer ranks on a "
      "host, a higher zero_optimization.stage, or offload leave more for each, and 'tranche plan' says how much they "
      "need";
  ending.fault = Exit::out_of_memory;
  ending.lost = 0;
  return ending;
}

Reached reached_in(const std::filesystem::path& directory) {
  Reached reached{.saved = 0, .told = last_step(directory / "metrics.jsonl")};
  if (const auto newest = checkpoint::find_newest_complete(directory).folder)
    reached.saved = checkpoint::step_of_name(newest->filename().string()).value_or(0);
  return reached;
}

std::optional<std::chrono::seconds> Restarts::next(const Reached& reached) {
  if (reached.saved > best_.saved || reached.told > best_.told) in_vain_ = 0;
  best_ = {std::max(best_.saved, reached.saved), std::max(best_.told, reached.told)};
  if (in_vain_ == most_) return std::nullopt;
  constexpr std::size_t longest = 60;
  return std::chrono::seconds{std::min(longest, std::size_t{1} << std::min<std::size_t>(in_vain_++, 10))};
}

std::size_t ranks_for(std::size_t places, std::size_t blocks) {
  std::size_t ranks = std::clamp<std::size_t>(places, 1, blocks);
  while (blocks % ranks != 0) --ranks;
  return ranks;
}

}  // namespace tranche
