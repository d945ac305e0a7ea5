#include "launcher/control/channel.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <functional>
#include <list>
#include <optional>
#include <type_traits>

#include "launcher/control/token.h"
#include "runtime/base/file.h"

namespace tranche {
namespace {

namespace asio = boost::asio;
using Socket = asio::generic::stream_protocol::socket;
using Clock = std::chrono::steady_clock;

// Only this user may enter it.
std::filesystem::path make_private_folder(const ControlChannel::Options& options) {
  const std::filesystem::path parent = options.one_host ? std::filesystem::temp_directory_path() : options.shared;
  if (!options.one_host) create_folder(parent);
  std::string name = (parent / ".tranche-launch-XXXXXX").string();
  ensure(Exit::storage, ::mkdtemp(name.data()) != nullptr, name, ": ", ::strerror(errno));
  return std::filesystem::absolute(name);
}

// Throws an Error for one that is too long, and what the socket says.
asio::awaitable<std::string> read_message(Socket& socket) {
  unsigned char header[message_header];
  co_await asio::async_read(socket, asio::buffer(header), asio::use_awaitable);
  const std::size_t length = message_length(header);
  ensure(Exit::ranks, length <= longest_message, "a message of ", length, " bytes");
  std::string message(length, '\0');
  co_await asio::async_read(socket, asio::buffer(message), asio::use_awaitable);
  co_return message;
}

}  // namespace

// Outlives the channel for as long as a connection still ends.
struct ControlChannel::State : std::enable_shared_from_this<State> {
  State(asio::io_context& context, std::size_t ranks, const Options& given)
      : io(context), options(given), roll(ranks, Clock::now(), given.pace), folder(make_private_folder(given)) {
    try {
      write_token(folder / "token", token);
    } catch (...) {
      take_folder_away();
      throw;
    }
  }
  ~State() { take_folder_away(); }

  void take_folder_away() {
    std::error_code ignored;
    if (!folder.empty()) std::filesystem::remove_all(folder, ignored);
    folder.clear();
  }

  // Every connection ends with its next step, and nobody is let in any more.
  void close() {
    boost::system::error_code ignored;
    stop_listening();
    for (const std::weak_ptr<Socket>& each : sockets)
      if (const auto socket = each.lock()) socket->close(ignored);
  }

  template <class Protocol> void listen(const typename Protocol::endpoint& endpoint) {
    const auto acceptor = std::make_shared<typename Protocol::acceptor>(io, endpoint);
    stop_listening = [acceptor] {
      boost::system::error_code ignored;
      acceptor->close(ignored);
    };
    if constexpr (std::is_same_v<Protocol, asio::ip::tcp>)
      address = str("tcp:", options.reached_as, ":", acceptor->local_endpoint().port());
    else
      address = str("unix:", endpoint.path());
    asio::co_spawn(io, accept<Protocol>(shared_from_this(), acceptor), asio::detached);
  }

  template <class Protocol>
  static asio::awaitable<void> accept(std::shared_ptr<State> self,
                                      std::shared_ptr<typename Protocol::acceptor> acceptor) {
    while (acceptor->is_open()) {
      boost::system::error_code error;
      typename Protocol::socket accepted =
          co_await acceptor->async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (error && acceptor->is_open()) {  // too many open files, for one: those that are there go on
        asio::steady_timer pause{self->io, std::chrono::milliseconds{200}};
        co_await pause.async_wait(asio::use_awaitable);
      } else if (!error && self->strangers >= std::max(most_strangers, 2 * self->roll.ranks().size())) {
        ++self->dropped;
      } else if (!error) {
        const auto socket = std::make_shared<Socket>(std::move(accepted));
        self->sockets.remove_if([](const std::weak_ptr<Socket>& each) { return each.expired(); });
        self->sockets.push_back(socket);
        asio::co_spawn(self->io, serve(self, socket), asio::detached);
      }
    }
  }

  // A peer from its first byte to its last.
  static asio::awaitable<void> serve(std::shared_ptr<State> self, std::shared_ptr<Socket> socket) {
    std::optional<std::size_t> rank;
    bool ended_itself = false;
    try {
      rank = co_await introduction(self, socket);
      if (rank) self->of_ranks.push_back(socket);
      while (rank) self->roll.says(*rank, decoded_activity(co_await read_message(*socket)), Clock::now());
    } catch (const boost::system::system_error&) {
      ended_itself = rank.has_value();
    } catch (const Error&) {  // what it said is nothing that a rank says
    }
    if (!ended_itself) ++self->dropped;
    if (rank) self->roll.parts(*rank, Clock::now());
  }

  // Whom the peer shows itself to be; none: nobody of ours.
  static asio::awaitable<std::optional<std::size_t>> introduction(std::shared_ptr<State> self,
                                                                  std::shared_ptr<Socket> socket) {
    ++self->strangers;
    const std::shared_ptr<void> counted{nullptr, [self](void*) { --self->strangers; }};
    asio::steady_timer deadline{self->io, self->options.introduction};
    deadline.async_wait([socket](boost::system::error_code cancelled) {
      boost::system::error_code ignored;
      if (!cancelled) socket->close(ignored);
    });
    const Hello hello = decoded_hello(co_await read_message(*socket));
    if (!same_token(hello.token, self->token) || !self->roll.joins(hello, Clock::now())) co_return std::nullopt;
    if (self->roll.complete()) self->take_folder_away();
    co_return hello.rank;
  }

  asio::io_context& io;
  Options options;
  Roll roll;
  std::filesystem::path folder;  // empty: taken away
  std::string token = new_token();
  std::string address;
  std::list<std::weak_ptr<Socket>> sockets;
  std::vector<std::weak_ptr<Socket>> of_ranks;
  std::size_t strangers = 0, dropped = 0;
  std::function<void()> stop_listening = [] {};
};

ControlChannel::ControlChannel(asio::io_context& io, std::size_t ranks, const Options& options) {
  try {
    state_ = std::make_shared<State>(io, ranks, options);
    if (options.one_host)
      state_->listen<asio::local::stream_protocol>((state_->folder / "socket").string());
    else
      state_->listen<asio::ip::tcp>({asio::ip::tcp::v4(), 0});
  } catch (const boost::system::system_error& error) {
    fail(Exit::internal, str("the supervisor cannot listen for its ranks: ", error.what()));
  }
}

ControlChannel::~ControlChannel() {
  state_->close();
  state_->take_folder_away();
}

std::vector<std::string> ControlChannel::environment() const {
  return {str(supervisor_variable, "=", state_->address),
          str(token_variable, "=", (state_->folder / "token").string())};
}

void ControlChannel::ask_for_stacks() {
  for (const std::weak_ptr<Socket>& each : state_->of_ranks)
    if (const auto socket = each.lock())
      asio::async_write(*socket, asio::buffer(&stack_request, 1), [socket](boost::system::error_code, std::size_t) {});
}

Roll& ControlChannel::roll() { return state_->roll; }

std::size_t ControlChannel::dropped() const { return state_->dropped; }

}  // namespace tranche
