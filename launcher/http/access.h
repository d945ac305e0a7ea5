// Who may read a run's page.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tranche {

// What a request says of who sends it. Views into the request.
struct PageVisitor {
  bool from_loopback = false;  // as the kernel says
  std::string_view host{};     // these three as the request says
  std::string_view target{};   // path and query
  std::string_view authorization{};
  std::string_view cookie{};
};

enum class Admission {
  granted,
  remembered,  // to a token in the address: the browser gets a cookie, and is sent to the address without it
  foreign,     // asks for this page by a name that is none of this machine's loopback
  unknown,     // without the token
};

// From this machine, by a name of its loopback, everybody may read; a foreign page whose name was made to point here
// comes with its own name. Anybody else needs the token (RFC 6750), whatever name he asks by, since a browser keeps
// cookies by the host's name: as "Authorization: Bearer TOKEN", as "/?token=TOKEN", or in the cookie that a browser got
// for that. Without a token there is nobody else.
class PageAccess {
 public:
  // token: empty for none. port: the page's, since browsers keep cookies by host alone.
  PageAccess(std::string token, std::uint16_t port);
  Admission admit(const PageVisitor& visitor) const;
  std::string cookie() const;  // a Set-Cookie header's value

 private:
  std::string token_, cookie_name_;
  std::uint16_t port_;
};

// Requests that were refused for want of the token. All are counted, and told once a minute at most: anybody can send
// many.
class Refusals {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // Of one from this address. What there is to tell now; empty: nothing.
  std::string count(const std::string& address, Time now);
  std::size_t all() const { return all_; }

 private:
  std::size_t all_ = 0, told_ = 0;
  Time told_at_{};
};

}  // namespace tranche
