// The supervisor's side of the control channel: lets ranks in that know the token, and writes down what they say.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "launcher/control/roll.h"

namespace tranche {

// For one start of a job. All of it runs on the thread that runs the io_context, which must outlive it.
//
// It listens on a Unix socket in a folder that only this user may enter or, for ranks on other hosts, on a TCP port of
// every address; then the folder is made in `shared`, which those hosts see too. The folder holds the token, is taken
// away as soon as every rank has joined, and with the channel at the latest.
//
// Whoever sends something else than messages.h says, more than is allowed, no right token in time, or comes when
// `most_strangers` are still to show theirs, is hung up on and counted.
class ControlChannel {
 public:
  static constexpr std::size_t most_strangers = 64;
  struct Options {
    bool one_host = true;
    std::filesystem::path shared;                  // used only where there are several
    std::string reached_as = this_machine().name;  // likewise: this machine's name or address, as ranks find it
    std::chrono::milliseconds introduction{5000};  // for the right token
    std::chrono::milliseconds pace{10'000};        // over which the ranks' work is compared
  };
  // Throws Exit::storage or Exit::internal, naming what the system refused.
  ControlChannel(boost::asio::io_context& io, std::size_t ranks, const Options& options);
  ~ControlChannel();
  ControlChannel(const ControlChannel&) = delete;
  ControlChannel& operator=(const ControlChannel&) = delete;

  // "NAME=VALUE" that ranks are to find in their environment.
  std::vector<std::string> environment() const;
  Roll& roll();
  // Of every rank that is connected: its answer is in the roll a little later, or never.
  void ask_for_stacks();
  std::size_t dropped() const;  // peers that were hung up on

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tranche
