#include "launcher/control/machine.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

namespace tranche {
namespace {

std::string text_of(const in_addr& address) {
  char text[INET_ADDRSTRLEN] = {};
  ::inet_ntop(AF_INET, &address, text, sizeof text);
  return text;
}

std::vector<in_addr> addresses_of(const std::string& name) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  if (::getaddrinfo(name.c_str(), nullptr, &hints, &found) != 0) return {};
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned{found, ::freeaddrinfo};
  std::vector<in_addr> addresses;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next)
    addresses.push_back(reinterpret_cast<const sockaddr_in*>(each->ai_addr)->sin_addr);
  return addresses;
}

// Of this machine, as the routes say; empty: there is no way there. A datagram socket that is connected sends nothing.
std::string source_towards(const in_addr& there) {
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return {};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(9);
  address.sin_addr = there;
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  const bool known = ::connect(socket, any, size) == 0 && ::getsockname(socket, any, &size) == 0;
  ::close(socket);
  return known ? text_of(address.sin_addr) : std::string{};
}

bool same_name(const std::string& a, const std::string& b) {
  const auto begins = [](const std::string& whole, const std::string& part) { return whole.starts_with(part + "."); };
  return a == b || begins(a, b) || begins(b, a);
}

}  // namespace

Machine this_machine() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  Machine machine{.name = name};
  ifaddrs* found = nullptr;
  if (::getifaddrs(&found) != 0) return machine;
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owned{found, ::freeifaddrs};
  for (const ifaddrs* each = found; each != nullptr; each = each->ifa_next) {
    const bool counts =
        each->ifa_addr != nullptr && each->ifa_addr->sa_family == AF_INET && (each->ifa_flags & IFF_LOOPBACK) == 0;
    if (counts && machine.addresses.size() < most_addresses)
      machine.addresses.push_back(text_of(reinterpret_cast<const sockaddr_in*>(each->ifa_addr)->sin_addr));
  }
  return machine;
}

bool is_address(const std::string& text) {
  in_addr ignored{};
  return ::inet_pton(AF_INET, text.c_str(), &ignored) == 1 && text.find('\0') == text.npos;
}

bool means(const std::string& host, const Machine& machine) {
  if (!is_address(host) && same_name(host, machine.name)) return true;
  if (machine.addresses.empty()) return false;  // the resolver may take its time to say so
  return std::ranges::any_of(addresses_of(host), [&](const in_addr& address) {
    return std::ranges::find(machine.addresses, text_of(address)) != machine.addresses.end();
  });
}

std::string address_towards(const std::vector<std::string>& hosts) {
  const Machine here = this_machine();
  for (const std::string& host : hosts) {
    if (means(host, here)) continue;
    for (const in_addr& address : addresses_of(host)) {
      const std::string source = source_towards(address);
      // "localhost" is found by way of the loopback, where nobody else finds this machine.
      if (!source.empty() && !source.starts_with("127.")) return source;
    }
  }
  return here.name;
}

}  // namespace tranche
