#include "launcher/http/event_stream.h"

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <chrono>
#include <vector>

#include "launcher/control/token.h"
#include "runtime/base/error.h"

namespace tranche {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr std::chrono::seconds viewers_patience{10};  // the page speaks twice a second

std::string host_and_port(const PageAddress& page) {
  return page.host.find(':') == page.host.npos ? str(page.host, ":", page.port) : str("[", page.host, "]:", page.port);
}

asio::awaitable<void> follow(PageAddress page, EventParser::Hear hear) {
  const std::string where = host_and_port(page);
  const std::string token = page.token_file.empty() ? page.token : read_token(page.token_file);
  beast::tcp_stream stream{co_await asio::this_coro::executor};
  boost::system::error_code error;
  const auto told = [&error] { return asio::redirect_error(asio::use_awaitable, error); };
  asio::ip::tcp::resolver resolver{stream.get_executor()};
  const auto found = co_await resolver.async_resolve(page.host, str(page.port), told());
  ensure(Exit::usage, !error, "no machine ", page.host, " can be found (", error.message(), ")");
  stream.expires_after(viewers_patience);
  co_await stream.async_connect(found, told());
  ensure(Exit::usage, !error, "nothing listens on ", where, " (", error.message(),
         "): is this the --port of a tranche launch that runs there, and does its --bind reach here?");

  http::request<http::empty_body> request{http::verb::get, "/events", 11};
  request.set(http::field::host, where);
  if (!token.empty()) request.set(http::field::authorization, "Bearer " + token);
  co_await http::async_write(stream, request, told());
  beast::flat_buffer buffer;
  http::response_parser<http::empty_body> parser;
  if (!error) co_await http::async_read_header(stream, buffer, parser, told());
  ensure(Exit::usage, error || parser.get().result() != http::status::unauthorized, "the page on ", where, " wants ",
         token.empty() ? "its token" : "another token",
         ": give the address that launch said, or --token-file with the page-token of the run's directory");
  ensure(Exit::usage,
         !error && parser.get().result() == http::status::ok &&
             parser.get()[http::field::content_type] == "text/event-stream",
         "what listens on ", where, " is no page of a run: give the --port of tranche launch");

  EventParser events{std::move(hear)};
  const auto text_of = [](const auto& bytes) {
    return std::string_view{static_cast<const char*>(bytes.data()), bytes.size()};
  };
  events.feed(text_of(buffer.data()));
  std::vector<char> piece(std::size_t{1} << 16);
  for (;;) {
    stream.expires_after(viewers_patience);
    const std::size_t bytes = co_await stream.async_read_some(asio::buffer(piece), told());
    ensure(Exit::data, error != beast::error::timeout, "the page on ", where, " has said nothing for ",
           viewers_patience.count(), " s");
    if (error) co_return;
    events.feed({piece.data(), bytes});
  }
}

}  // namespace

std::uint16_t port_number(std::string_view digits) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  ensure(Exit::usage, error == std::errc{} && end == digits.data() + digits.size() && port != 0, digits,
         " is no port: those are from 1 to 65535");
  return port;
}

std::optional<PageAddress> page_address(std::string_view text) {
  constexpr std::string_view scheme = "http://", query = "?token=";
  if (text.starts_with(scheme)) text.remove_prefix(scheme.size());
  const std::string_view place = text.substr(0, text.find_first_of("/?#"));
  const std::size_t colon = place.rfind(':');
  if (colon == place.npos || colon == 0) return std::nullopt;
  std::string_view host = place.substr(0, colon);
  const std::string_view digits = place.substr(colon + 1);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (digits.empty() || !std::ranges::all_of(digits, is_digit)) return std::nullopt;
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const std::string_view allowed = bracketed ? ":.%-_" : ".-_";
  if (!std::ranges::all_of(host, [&](char c) {
        return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || allowed.find(c) != allowed.npos;
      }))
    return std::nullopt;
  PageAddress page{.host = std::string{host}, .port = port_number(digits)};
  if (const std::size_t given = text.find(query); given != text.npos) {
    page.token = text.substr(given + query.size());
    ensure(Exit::usage, is_token(page.token), "the address of ", place, " ends with no token");
  }
  return page;
}

void EventParser::feed(std::string_view bytes) {
  for (std::size_t end; (end = bytes.find('\n')) != bytes.npos; bytes.remove_prefix(end + 1)) {
    line_ += bytes.substr(0, end);
    if (line_.empty()) {
      if (!name_.empty()) hear_(name_, data_);
      name_.clear();
      data_.clear();
    } else if (line_.starts_with("event: ")) {
      name_ = line_.substr(7);
    } else if (line_.starts_with("data: ")) {
      data_ = line_.substr(6);
    }
    line_.clear();
  }
  line_ += bytes;
  ensure(Exit::data, line_.size() <= longest, "an event of the page does not end within ", longest, " bytes");
}

void follow_events(asio::io_context& io, PageAddress page, EventParser::Hear hear,
                   std::function<void(const std::exception_ptr&)> ended) {
  asio::co_spawn(io, follow(std::move(page), std::move(hear)), std::move(ended));
}

}  // namespace tranche
