#include "launcher/http/access.h"

#include <strings.h>

#include <boost/asio/ip/address.hpp>

#include "launcher/control/token.h"
#include "runtime/base/error.h"

namespace tranche {
namespace {

constexpr std::chrono::minutes told_every{1};

bool names_loopback(std::string_view host, std::uint16_t port) {
  const std::string suffix = str(":", port);
  if (host.ends_with(suffix)) host.remove_suffix(suffix.size());
  if (host == "localhost") return true;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(std::string{host}, error);
  return !error && address.is_loopback();
}

// The value of `name` in a list of name=value; empty if there is none. Of several the first: a page elsewhere on this
// host can add cookies of its own, and gains nothing by it.
std::string_view value_of(std::string_view name, std::string_view list, char separator) {
  while (!list.empty()) {
    std::string_view each = list.substr(0, list.find(separator));
    list.remove_prefix(std::min(list.size(), each.size() + 1));
    while (each.starts_with(' ')) each.remove_prefix(1);
    if (each.starts_with(name) && each.substr(name.size()).starts_with('=')) return each.substr(name.size() + 1);
  }
  return {};
}

// What follows "Bearer ", in whichever case that is (RFC 7235, 2.1); empty if something else does.
std::string_view bearer_of(std::string_view authorization) {
  constexpr std::string_view scheme = "Bearer ";
  if (authorization.size() <= scheme.size()) return {};
  if (::strncasecmp(authorization.data(), scheme.data(), scheme.size()) != 0) return {};
  return authorization.substr(scheme.size());
}

}  // namespace

PageAccess::PageAccess(std::string token, std::uint16_t port)
    : token_(std::move(token)), cookie_name_(str("tranche-", port)), port_(port) {}

Admission PageAccess::admit(const PageVisitor& visitor) const {
  const std::size_t path_ends = std::min(visitor.target.find('?'), visitor.target.size());
  const std::string_view path = visitor.target.substr(0, path_ends);
  const std::string_view query = visitor.target.substr(std::min(path_ends + 1, visitor.target.size()));
  const bool ours = visitor.from_loopback && names_loopback(visitor.host, port_);
  if (token_.empty()) return ours ? Admission::granted : Admission::foreign;
  if (path == "/" && same_token(value_of("token", query, '&'), token_)) return Admission::remembered;
  const bool known = ours || same_token(value_of(cookie_name_, visitor.cookie, ';'), token_) ||
                     same_token(bearer_of(visitor.authorization), token_);
  return known ? Admission::granted : Admission::unknown;
}

std::string PageAccess::cookie() const { return str(cookie_name_, "=", token_, "; HttpOnly; SameSite=Strict; Path=/"); }

std::string Refusals::count(const std::string& address, Time now) {
  ++all_;
  if (told_ != 0 && now - told_at_ < told_every) return {};
  const std::size_t news = all_ - told_;
  told_ = all_;
  told_at_ = now;
  return str("the page has refused ", news, news == 1 ? " request" : " requests", " without its token, the last from ",
             address);
}

}  // namespace tranche
