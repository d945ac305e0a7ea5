#include "launcher/control/reporter.h"

#include <netdb.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>

#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/comm/communicator.h"

namespace tranche {
namespace {

constexpr std::chrono::milliseconds beat{200};

[[noreturn]] void refuse(const std::string& address) { fail(Exit::ranks, str(address, ": ", ::strerror(errno))); }

// Neither connecting nor sending takes longer than one beat.
int limited_socket(int family) {
  const int socket = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{.tv_sec = 0, .tv_usec = std::chrono::microseconds{beat}.count()};
  if (socket >= 0) ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  return socket;
}

int connected_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ensure(Exit::ranks, path.size() < sizeof address.sun_path, path, ": too long for a socket's name");
  path.copy(address.sun_path, path.size());
  const int socket = limited_socket(AF_UNIX);
  if (socket < 0 || ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (socket >= 0) ::close(socket);
    refuse(path);
  }
  return socket;
}

int connected_tcp(const std::string& place) {
  const std::size_t colon = place.rfind(':');
  ensure(Exit::ranks, colon != place.npos, place, ": expected HOST:PORT");
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  const int error = ::getaddrinfo(place.substr(0, colon).c_str(), place.substr(colon + 1).c_str(), &hints, &found);
  ensure(Exit::ranks, error == 0, place, ": ", ::gai_strerror(error));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses{found, ::freeaddrinfo};
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    const int socket = limited_socket(each->ai_family);
    if (socket < 0) continue;
    if (::connect(socket, each->ai_addr, each->ai_addrlen) == 0) return socket;
    ::close(socket);
  }
  refuse(place);
}

int connected(const std::string& address) {
  const std::string_view unix_prefix = "unix:", tcp_prefix = "tcp:";
  if (address.starts_with(unix_prefix)) return connected_unix(address.substr(unix_prefix.size()));
  ensure(Exit::ranks, address.starts_with(tcp_prefix), address, ": expected unix:PATH or tcp:HOST:PORT");
  return connected_tcp(address.substr(tcp_prefix.size()));
}

}  // namespace

Reporter::Reporter(std::size_t rank, std::size_t ranks) {
  const char *address = std::getenv(supervisor_variable), *token = std::getenv(token_variable);
  if (address == nullptr || token == nullptr) return;
  try {
    const std::string secret = read_small_file(token);  // before the supervisor counts a stranger who takes his time
    socket_ = connected(address);
    const Hello hello{.token = secret, .rank = rank, .ranks = ranks, .machine = this_machine(), .pid = ::getpid()};
    if (!send(encoded(hello), [] { return false; })) refuse(address);
    thread_ = std::thread{[this] { report(); }};
  } catch (const Error& error) {
    log::everywhere(str("the supervisor cannot be reached, so nobody watches rank ", rank, ": ", error.what()));
  }
}

Reporter::~Reporter() {
  if (thread_.joinable()) {
    {
      const std::lock_guard lock{mutex_};
      ending_ = activity_.left = true;
    }
    ended_.notify_one();
    thread_.join();
  }
  if (socket_ >= 0) ::close(socket_);
}

void Reporter::step(std::uint64_t step) {
  const std::lock_guard lock{mutex_};
  activity_.step = step;
}

void Reporter::phase(std::string_view phase) {
  const std::lock_guard lock{mutex_};
  activity_.phase = phase;
}

void Reporter::issued(const CollectiveRecord& record) {
  const std::lock_guard lock{mutex_};
  activity_.collectives = record.sequence + 1;
  activity_.collective.assign(record.op).append(" of ").append(record.label);
}

void Reporter::spent(std::map<std::string, double> seconds,
                     std::map<std::string, std::map<std::string, std::uint64_t>> bytes) {
  const std::lock_guard lock{mutex_};
  ++activity_.steps;
  activity_.seconds = std::move(seconds);
  activity_.bytes = std::move(bytes);
}

void Reporter::report() {
  ::pthread_setname_np(::pthread_self(), reporter_thread);
  for (bool last = false; !last;) {
    std::unique_lock lock{mutex_};
    ended_.wait_for(lock, beat, [&] { return ending_; });
    last = ending_;
    Activity now = activity_;
    lock.unlock();
    if (!last && asked_for_stack()) now.stack = stack_.frames();
    // A supervisor that was stopped reads nothing for a while: the rest of a message goes out when it is back.
    const auto goes_on = [&] {
      const std::lock_guard still{mutex_};
      return !ending_;
    };
    if (send(encoded(now), goes_on)) continue;
    if (!last) log::info("the supervisor is gone; training goes on without it");
    return;
  }
}

bool Reporter::asked_for_stack() const {
  char request = 0;
  return ::recv(socket_, &request, 1, MSG_DONTWAIT) == 1 && request == stack_request;
}

bool Reporter::send(const std::string& message, const std::function<bool()>& goes_on) {
  for (std::size_t sent = 0; sent < message.size();) {
    const ssize_t n = ::send(socket_, message.data() + sent, message.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && (errno == EINTR || (errno == EAGAIN && goes_on()))) continue;
    if (n <= 0) return false;
    sent += static_cast<std::size_t>(n);
  }
  return true;
}

}  // namespace tranche
