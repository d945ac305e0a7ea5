// What a client of the page can send: any bytes, in one connection. The server answers or hangs up, and serves the next
// one as if nothing had been.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "launcher/http/server.h"

namespace {

using namespace tranche;

struct Served {
  Roll roll{1, Roll::Time::clock::now()};
  boost::asio::io_context io{1};
  HttpServer server{io,
                    {.token = "secret"},
                    {"metrics.jsonl of nobody", [this] {
                       return RunStatus{
                           .run = "run", .state = "running", .ranks = 1, .restarts = 0, .dropped = 0, .roll = &roll};
                     }}};

  int connection() const {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    // Closing resets it, so that the next inputs find free ports.
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server.port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) std::abort();
    return socket;
  }
  // What comes back to these bytes, as far as the server has it to say at once.
  std::string answer(const std::string& bytes) {
    const int socket = connection();
    if (::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) std::abort();
    ::shutdown(socket, SHUT_WR);
    std::string all;
    char buffer[16384];
    for (int quiet = 0; quiet < 3;) {
      quiet = io.poll() == 0 ? quiet + 1 : 0;
      for (ssize_t n; (n = ::recv(socket, buffer, sizeof buffer, MSG_DONTWAIT)) > 0; quiet = 0)
        all.append(buffer, static_cast<std::size_t>(n));
    }
    ::close(socket);
    io.poll();
    return all;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Served served;
  const std::string said = served.answer({reinterpret_cast<const char*>(data), size});
  if (!said.empty() && !said.starts_with("HTTP/1.")) std::abort();
  static int inputs = 0;
  // Those who stream events keep their places for half a second, and after many of them nobody is let in for so long.
  if (++inputs % 64 == 0) {
    const std::string health = served.answer("GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    if (!health.empty() && !health.starts_with("HTTP/1.1 200 OK")) std::abort();
  }
  return 0;
}
