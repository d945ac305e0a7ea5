// A run's page: /, /events, /metrics, /health.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "launcher/http/exposition.h"

namespace tranche {

// Where a page is served, and to whom (access.h).
struct PagePlace {
  std::string address = "127.0.0.1";  // of this machine, IPv4 or IPv6; 0.0.0.0 and :: are all
  std::uint16_t port = 0;             // 0: any that is free
  std::string token{};                // empty: to this machine alone
  std::string token_told{};           // where those who should have it find it
};
// True for an address that only this machine reaches. Throws Exit::usage for what is no address.
bool is_loopback(const std::string& address);

// Answers GET and HEAD to those who are let in. All of it runs on the thread that runs the io_context, which must
// outlive it.
class HttpServer {
 public:
  static constexpr std::size_t most_clients = 64;
  struct Source {
    std::filesystem::path metrics;      // metrics.jsonl
    std::function<RunStatus()> status;  // now
  };
  // Throws Exit::usage where the place cannot be had.
  HttpServer(boost::asio::io_context& io, const PagePlace& place, Source source);
  ~HttpServer();  // nobody is let in any more; connections end when the io_context does
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tranche
