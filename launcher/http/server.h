// A run's page, on this machine alone: /, /events, /metrics, /health.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

#include "launcher/http/exposition.h"

namespace tranche {

// Answers GET and HEAD on 127.0.0.1, to requests for a name of this machine's loopback alone (a foreign page whose name
// was made to point here gets nothing). All of it runs on the thread that runs the io_context, which must outlive it.
class HttpServer {
 public:
  static constexpr std::size_t most_clients = 64;
  struct Source {
    std::filesystem::path metrics;      // metrics.jsonl
    std::function<RunStatus()> status;  // now
  };
  // Port 0: any that is free. Throws Exit::usage where it cannot be had.
  HttpServer(boost::asio::io_context& io, std::uint16_t port, Source source);
  ~HttpServer();  // nobody is let in any more; connections end when the io_context does
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tranche
