// Servers that a test starts for itself: gone with it, however it ends.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <list>
#include <string>
#include <vector>

#include "launcher/supervisor/process.h"
#include "runtime/base/error.h"

namespace tranche::testing {

// A TCP port of the loopback that nobody listens on.
inline std::uint16_t free_port() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  const bool found = ::bind(listener, any, size) == 0 && ::getsockname(listener, any, &size) == 0;
  ::close(listener);
  check(found, "no port is free");
  return ntohs(address.sin_port);
}

// Everything that is started here, and whatever that starts, is a child of this process in the end, so that the
// destructor can wait for all of it. Main thread; one object at a time.
class Daemons {
 public:
  Daemons() { adopt_orphans(); }
  ~Daemons() {
    running_.clear();
    outlive_children(std::chrono::seconds{5});
  }
  Daemons(const Daemons&) = delete;
  Daemons& operator=(const Daemons&) = delete;

  // One that stays in the foreground and writes to `log` what it would show. If this process is killed, it is ended by
  // the kernel.
  void start(const std::filesystem::path& log, const std::vector<std::string>& words) {
    std::vector<std::string> line{"setpriv",   "--pdeathsig", "TERM", "--", "sh", "-c", "exec \"$@\" >> \"$0\" 2>&1",
                                  log.string()};
    line.insert(line.end(), words.begin(), words.end());
    running_.emplace_back(line);
  }

 private:
  std::list<Process> running_;
};

}  // namespace tranche::testing
