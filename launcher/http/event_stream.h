// What a run's page sends under /events, for a program.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace tranche {

// Server-sent events (html.spec.whatwg.org, 9.2), as far as our own page sends them: one name and one line of data
// each.
class EventParser {
 public:
  using Hear = std::function<void(const std::string& name, const std::string& data)>;
  static constexpr std::size_t longest = std::size_t{16} << 20;  // bytes of one event

  explicit EventParser(Hear hear) : hear_(std::move(hear)) {}
  // Bytes in the order in which they come, cut anywhere. Throws Exit::data where an event does not end.
  void feed(std::string_view bytes);

 private:
  Hear hear_;
  std::string line_, name_, data_;
};

// Where a page is, and what it is shown.
struct PageAddress {
  std::string host = "127.0.0.1";  // a name or an address, IPv6 without brackets
  std::uint16_t port = 0;
  std::string token{};                 // empty: none is shown
  std::filesystem::path token_file{};  // instead of it, unless empty; read anew for each connection
};
// "http://HOST:PORT/?token=TOKEN", of which all but HOST:PORT may be missing; none for what has no such form. Throws
// Exit::usage for a port or a token that can be none.
std::optional<PageAddress> page_address(std::string_view text);
// A number from 1 to 65535; else Exit::usage.
std::uint16_t port_number(std::string_view digits);

// Connects to the page and hears its events until it hangs up, on the thread that runs the io_context; then `ended` is
// called once, with what was wrong: an Error with Exit::usage where nothing listens, the token is wrong or what answers
// is no run's page, with Exit::data where it says nothing for ten seconds, or what `hear` threw; null where it hung up.
void follow_events(boost::asio::io_context& io, PageAddress page, EventParser::Hear hear,
                   std::function<void(const std::exception_ptr&)> ended);

}  // namespace tranche
