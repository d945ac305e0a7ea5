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
#include <chrono>
#include <vector>

#include "runtime/base/error.h"

namespace tranche {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr std::chrono::seconds patience{10};  // the page speaks twice a second

asio::awaitable<void> follow(std::uint16_t port, EventParser::Hear hear) {
  const std::string where = str("127.0.0.1:", port);
  beast::tcp_stream stream{co_await asio::this_coro::executor};
  boost::system::error_code error;
  const auto told = [&error] { return asio::redirect_error(asio::use_awaitable, error); };
  stream.expires_after(patience);
  co_await stream.async_connect({asio::ip::address_v4::loopback(), port}, told());
  ensure(Exit::usage, !error, "nothing listens on ", where, " (", error.message(),
         "): is this the --port of a tranche launch that runs on this machine?");

  http::request<http::empty_body> request{http::verb::get, "/events", 11};
  request.set(http::field::host, where);
  co_await http::async_write(stream, request, told());
  beast::flat_buffer buffer;
  http::response_parser<http::empty_body> parser;
  if (!error) co_await http::async_read_header(stream, buffer, parser, told());
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
    stream.expires_after(patience);
    const std::size_t bytes = co_await stream.async_read_some(asio::buffer(piece), told());
    ensure(Exit::data, error != beast::error::timeout, "the page on ", where, " has said nothing for ",
           patience.count(), " s");
    if (error) co_return;
    events.feed({piece.data(), bytes});
  }
}

}  // namespace

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

void follow_events(asio::io_context& io, std::uint16_t port, EventParser::Hear hear,
                   std::function<void(const std::exception_ptr&)> ended) {
  asio::co_spawn(io, follow(port, std::move(hear)), std::move(ended));
}

}  // namespace tranche
