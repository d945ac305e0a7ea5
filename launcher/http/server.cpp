#include "launcher/http/server.h"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <list>

#include "launcher/control/machine.h"
#include "launcher/http/access.h"
#include "launcher/http/metrics_tail.h"
#include "launcher/http/page.h"
#include "runtime/base/log.h"

namespace tranche {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;
using Request = http::request<http::empty_body>;
using Response = http::response<http::string_body>;

constexpr std::size_t longest_request = 8192;         // bytes, with its headers
constexpr std::chrono::seconds patience{10};          // with a client that asks, or takes its answer, slowly
constexpr std::chrono::milliseconds news_every{500};  // of /events

asio::ip::address address_of(const std::string& text) {
  boost::system::error_code error;
  const asio::ip::address address = asio::ip::make_address(text, error);
  ensure(Exit::usage, !error, "'", text,
         "' is no address: those are like 10.0.0.1, 0.0.0.0 for all of this machine, or ::1");
  return address;
}

// A server of both IPv6 and IPv4 sees 127.0.0.1 as ::ffff:127.0.0.1.
bool loops_back(const asio::ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).is_loopback();
  return address.is_loopback();
}

// Throws a system_error where it cannot be had.
tcp::acceptor listener(asio::io_context& io, const tcp::endpoint& endpoint) {
  if (endpoint.address().is_multicast())  // the kernel would let us, and nobody could connect
    throw boost::system::system_error{make_error_code(boost::system::errc::address_not_available)};
  tcp::acceptor acceptor{io, endpoint.protocol()};
  acceptor.set_option(tcp::acceptor::reuse_address{true});
  // All addresses are IPv4's too, whatever this machine's habit.
  if (endpoint.address().is_v6()) acceptor.set_option(asio::ip::v6_only{false});
  acceptor.bind(endpoint);
  acceptor.listen();
  return acceptor;
}

[[noreturn]] void fail_as_foreign(const std::string& address) {
  std::string here;
  for (const std::string& each : this_machine().addresses) here += each + ", ";
  fail(Exit::usage, str(address, " is no address of this machine: give one of ", here, "or 0.0.0.0 for all"));
}

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

beast::string_view path_of(const Request& request) { return request.target().substr(0, request.target().find('?')); }

std::string event(const std::string& name, const std::string& data) {
  return str("event: ", name, "\ndata: ", data, "\n\n");
}

}  // namespace

// Outlives the server for as long as a connection does.
struct HttpServer::State {
  State(asio::io_context& context, const PagePlace& place, Source from)
      : io(context),
        source(std::move(from)),
        token_told(place.token_told),
        acceptor(listener(io, {address_of(place.address), place.port})),
        access(place.token, port()) {}

  asio::io_context& io;
  Source source;
  std::string token_told;
  tcp::acceptor acceptor;
  PageAccess access;
  Refusals refusals;
  std::size_t clients = 0;
  std::list<beast::tcp_stream*> strangers;  // of whom no request was let in yet, who came first in front

  std::uint16_t port() const { return acceptor.local_endpoint().port(); }
  RunStatus status() const {
    RunStatus now = source.status();
    now.refused = refusals.all();
    return now;
  }

  // Where all places are taken, the stranger who has been silent for longest makes room: those without a token keep
  // nobody out.
  bool has_room() {
    if (clients < most_clients) return true;
    if (strangers.empty()) return false;
    strangers.front()->close();
    strangers.pop_front();
    return true;
  }

  static asio::awaitable<void> accept(std::shared_ptr<State> self) {
    while (self->acceptor.is_open()) {
      boost::system::error_code error;
      tcp::socket socket = co_await self->acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (error && self->acceptor.is_open()) {  // too many open files, for one
        asio::steady_timer pause{self->io, std::chrono::milliseconds{200}};
        co_await pause.async_wait(asio::use_awaitable);
      } else if (!error && self->has_room()) {
        asio::co_spawn(self->io, serve(self, std::move(socket)), asio::detached);
      }
    }
  }

  static asio::awaitable<void> serve(std::shared_ptr<State> self, tcp::socket socket) {
    ++self->clients;
    const std::shared_ptr<void> counted{nullptr, [self](void*) { --self->clients; }};
    boost::system::error_code gone;
    const asio::ip::address peer = socket.remote_endpoint(gone).address();
    beast::tcp_stream stream{std::move(socket)};
    self->strangers.push_back(&stream);
    const std::shared_ptr<void> known{nullptr, [self, &stream](void*) { self->strangers.remove(&stream); }};
    beast::flat_buffer buffer{longest_request};
    try {
      for (bool more = true; more;) {
        http::request_parser<http::empty_body> parser;
        parser.header_limit(longest_request);
        stream.expires_after(patience);
        co_await http::async_read(stream, buffer, parser, asio::use_awaitable);
        const Request& request = parser.get();
        Response response = self->answer(request, peer);
        if (response.result() != http::status::unauthorized && response.result() != http::status::forbidden)
          self->strangers.remove(&stream);
        if (response.result() == http::status::ok && path_of(request) == "/events" &&
            request.method() == http::verb::get) {
          co_await send_events(self, stream);
          co_return;
        }
        response.prepare_payload();
        if (request.method() == http::verb::head) response.body().clear();
        more = response.keep_alive();
        co_await http::async_write(stream, response, asio::use_awaitable);
      }
    } catch (const boost::system::system_error&) {  // it has gone, is too slow, or speaks no HTTP
    }
  }

  Response answer(const Request& request, const asio::ip::address& peer) {
    Response response{http::status::ok, request.version()};
    response.keep_alive(request.keep_alive());
    response.set(http::field::cache_control, "no-store");
    response.set("X-Content-Type-Options", "nosniff");
    response.set(http::field::content_type, "text/plain; charset=utf-8");
    const auto refuse = [&](http::status status) {
      response.result(status);
      response.body() = str(http::obsolete_reason(status), "\n");
      return response;
    };
    switch (access.admit({.from_loopback = loops_back(peer),
                          .host = view(request[http::field::host]),
                          .target = view(request.target()),
                          .authorization = view(request[http::field::authorization]),
                          .cookie = view(request[http::field::cookie])})) {
      case Admission::granted: break;
      case Admission::foreign: return refuse(http::status::forbidden);
      case Admission::unknown:
        if (const std::string news = refusals.count(peer.to_string(), Clock::now()); !news.empty()) log::warning(news);
        response.set(http::field::www_authenticate, "Bearer realm=\"tranche\"");
        response.keep_alive(false);  // a stranger's place is soon another's
        refuse(http::status::unauthorized);
        response.body() +=
            str("This page wants its token, as /?token=TOKEN or in a header, Authorization: Bearer TOKEN. ", token_told,
                "\n");
        return response;
      case Admission::remembered:
        response.result(http::status::see_other);
        response.set(http::field::location, "/");
        response.set(http::field::set_cookie, access.cookie());
        response.set("Referrer-Policy", "no-referrer");
        return response;
    }
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
      response.set(http::field::allow, "GET, HEAD");
      return refuse(http::status::method_not_allowed);
    }
    const beast::string_view path = path_of(request);
    if (path == "/") {
      response.set(http::field::content_type, "text/html; charset=utf-8");
      response.set("Content-Security-Policy",
                   "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'");
      response.body() = live_page();
    } else if (path == "/health") {
      response.set(http::field::content_type, "application/json");
      response.body() = status_text(status(), Clock::now()) + "\n";
    } else if (path == "/metrics") {
      response.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
      MetricsTail end{source.metrics, 1 << 16};
      const MetricsTail::News news = end.poll();
      response.body() = exposition(status(), news.lines.empty() ? std::string{} : news.lines.back(), Clock::now());
    } else if (path != "/events") {
      return refuse(http::status::not_found);
    }
    return response;
  }

  // Until the client goes, or is too slow to be told.
  static asio::awaitable<void> send_events(std::shared_ptr<State> self, beast::tcp_stream& stream) {
    MetricsTail tail{self->source.metrics};
    std::string text =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n";
    asio::steady_timer timer{self->io};
    for (;;) {
      const MetricsTail::News news = tail.poll();
      if (news.reset) text += event("reset", "");
      for (const std::string& line : news.lines) text += event("step", line);
      text += event("status", status_text(self->status(), Clock::now()));
      stream.expires_after(patience);
      co_await asio::async_write(stream, asio::buffer(text), asio::use_awaitable);
      text.clear();
      timer.expires_after(news_every);
      co_await timer.async_wait(asio::use_awaitable);
    }
  }
};

bool is_loopback(const std::string& address) { return loops_back(address_of(address)); }

HttpServer::HttpServer(asio::io_context& io, const PagePlace& place, Source source) {
  try {
    state_ = std::make_shared<State>(io, place, std::move(source));
  } catch (const boost::system::system_error& error) {
    if (error.code() == boost::system::errc::address_not_available) fail_as_foreign(place.address);
    fail(Exit::usage, str("port ", place.port, " of ", place.address, " cannot be used: ", error.code().message()));
  }
  asio::co_spawn(io, State::accept(state_), asio::detached);
}

HttpServer::~HttpServer() {
  boost::system::error_code ignored;
  state_->acceptor.close(ignored);
}

std::uint16_t HttpServer::port() const { return state_->port(); }

}  // namespace tranche
