#include "launcher/control/stack.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/core/demangle.hpp>
#include <boost/stacktrace/safe_dump_to.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <thread>

#include "launcher/control/messages.h"
#include "runtime/base/error.h"

namespace tranche {
namespace {

using Address = const void*;  // as safe_dump_to writes them

int stack_signal() { return SIGRTMIN + 6; }

// What the handler leaves. It may come late: who asked has given up by then, and the next one takes it.
struct Taken {
  std::array<Address, 96> addresses;
  std::size_t count = 0;
  Address handler_returns_to = nullptr;  // the frame that the kernel made; what was interrupted comes behind it
  std::atomic<bool> done = false;
};
Taken taken;

// Nothing here but what a signal handler may do.
void take(int) {
  const int kept = errno;
  taken.handler_returns_to = __builtin_return_address(0);
  taken.count = boost::stacktrace::safe_dump_to(taken.addresses.data(), sizeof taken.addresses);
  taken.done.store(true, std::memory_order_release);
  errno = kept;
}

// tranche::(anonymous namespace)::f(int) becomes tranche::f, a lambda the function that has it.
std::string without_parameters(std::string name) {
  constexpr std::string_view unnamed = "(anonymous namespace)::";
  for (std::size_t at; (at = name.find(unnamed)) != name.npos;) name.erase(at, unnamed.size());
  return name.substr(0, name.find('('));
}

std::string name_of(Address address) {
  Dl_info found{};
  if (::dladdr(address, &found) == 0) return "?";
  if (found.dli_sname != nullptr) return without_parameters(boost::core::demangle(found.dli_sname));
  return str("in ", std::filesystem::path{found.dli_fname}.filename().string());
}

}  // namespace

ThreadStack::ThreadStack() : thread_(::pthread_self()) {
  struct sigaction action {};
  action.sa_handler = take;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(stack_signal(), &action, nullptr);
}

std::vector<std::string> ThreadStack::frames() const {
  static std::mutex asking;
  const std::lock_guard lock{asking};
  taken.done.store(false);
  if (::pthread_kill(thread_, stack_signal()) != 0) return {};
  for (int tries = 0; !taken.done.load(std::memory_order_acquire); ++tries) {
    if (tries == 40) return {};
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
  const auto end = taken.addresses.begin() + static_cast<std::ptrdiff_t>(std::min(taken.count, taken.addresses.size()));
  auto frame = std::find(taken.addresses.begin(), end, taken.handler_returns_to);
  frame = frame == end ? taken.addresses.begin() : frame + 1;

  std::vector<std::string> names;
  const auto complete = [&] { return !names.empty() && names.back() == "main"; };
  for (bool innermost = true; !complete() && frame != end && *frame != nullptr && names.size() < most_stack_frames;
       ++frame) {
    // What a call returns to may belong to the next function already.
    const auto place = reinterpret_cast<std::uintptr_t>(*frame) - (innermost ? 0 : 1);
    std::string name = name_of(reinterpret_cast<Address>(place));
    if (names.empty() || names.back() != name) names.push_back(std::move(name));  // one library within itself
    innermost = false;
  }
  return names;
}

}  // namespace tranche
