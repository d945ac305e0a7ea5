// tranche top: a run in the terminal, while it trains or afterwards.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <exception>
#include <iostream>
#include <memory>
#include <optional>

#include "launcher/commands/commands.h"
#include "launcher/http/event_stream.h"
#include "launcher/top/picture.h"
#include "launcher/top/screen.h"
#include "launcher/top/watched_run.h"

namespace tranche {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds look_again{500};
constexpr std::chrono::seconds ask_again{2};  // a page that has gone

// What is known of a run, kept up to date by whoever runs the io_context.
class Watch {
 public:
  Watch(asio::io_context& io, const WatchedAs& where) : io_(io), timer_(io) {
    if (!where.page) {
      directory_.emplace(where.directory);
      look();
    } else {
      page_ = *where.page;
      ask();
    }
  }

  const RunView& run() const { return run_; }
  // Whether there is something to show.
  bool knows() const { return knows_; }
  // What ended the watch, if something did.
  const std::exception_ptr& failure() const { return failure_; }

 private:
  void look() {
    try {
      directory_->look(run_);
      knows_ = true;
    } catch (...) {
      failure_ = std::current_exception();
      return;
    }
    later(look_again, [this] { look(); });
  }

  void ask() {
    const std::string where = str("what the page on port ", page_.port, " says");
    const auto hear = [this, where](const std::string& name, const std::string& data) {
      if (name == "reset") run_.steps.clear();
      if (name == "step") run_.add_line(data, where);
      if (name == "status") run_.set_status(data, where);
      knows_ = knows_ || name == "status";
    };
    follow_events(io_, page_, hear, [this](const std::exception_ptr& failure) { ended(failure); });
  }

  // A page that was there may come again: the run is started anew on the same port.
  void ended(const std::exception_ptr& failure) {
    if (!knows_) {
      failure_ = failure ? failure : std::make_exception_ptr(Error(Exit::data, "the page has hung up at once"));
      return;
    }
    run_.state = "the page has gone: launch has ended, or is cut off";
    run_.well = false;
    try {
      if (failure) std::rethrow_exception(failure);
    } catch (const Error& error) {
      if (error.exit() == Exit::data) run_.state = without_frames(error.what());  // silent, or not understood
    }
    later(ask_again, [this] { ask(); });
  }

  template <class Then> void later(std::chrono::milliseconds pause, Then then) {
    timer_.expires_after(pause);
    timer_.async_wait([then](boost::system::error_code error) {
      if (!error) then();
    });
  }

  asio::io_context& io_;
  asio::steady_timer timer_;
  std::optional<RunDirectory> directory_;
  PageAddress page_;
  RunView run_;
  bool knows_ = false;
  std::exception_ptr failure_;
};

Exit print_once(const WatchedAs& where) {
  asio::io_context io{1};
  const Watch watch{io, where};
  while (!watch.knows() && !watch.failure()) io.run_one();
  if (watch.failure()) std::rethrow_exception(watch.failure());
  for (const Line& line : picture_of(watch.run(), {})) std::cout << line.text() << "\n";
  return Exit::success;
}

// Draws until a key or a signal ends it.
class Viewer {
 public:
  explicit Viewer(const WatchedAs& where) : watch_(io_, where), timer_(io_) {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGWINCH}) signals_.add(signal);
  }

  Exit run() {
    // Before the terminal is taken: what cannot be shown is told where it stays to be read.
    while (!watch_.knows() && !watch_.failure()) io_.run_one();
    if (watch_.failure()) std::rethrow_exception(watch_.failure());
    Screen screen;
    if (screen.keys() >= 0) keys_.emplace(io_, ::dup(screen.keys()));
    hear_signals(screen);
    hear_keys(screen);
    draw_again(screen);
    while (!ended_ && !watch_.failure()) io_.run_one();
    if (watch_.failure()) std::rethrow_exception(watch_.failure());
    return Exit::success;
  }

 private:
  void draw(const Screen& screen) const {
    const Size size = screen.size();
    screen.draw(picture_of(watch_.run(), {.columns = size.columns, .rows = size.rows}));
  }

  void draw_again(const Screen& screen) {
    draw(screen);
    timer_.expires_after(look_again);
    timer_.async_wait([&](boost::system::error_code error) {
      if (!error) draw_again(screen);
    });
  }

  void hear_signals(Screen& screen) {
    signals_.async_wait([&](boost::system::error_code error, int signal) {
      if (error) return;
      if (signal == SIGTSTP) {
        screen.leave();
        ::raise(SIGSTOP);  // until SIGCONT
        screen.enter();
      } else if (signal != SIGWINCH) {
        ended_ = true;
      }
      if (!ended_) draw(screen);
      hear_signals(screen);
    });
  }

  void hear_keys(const Screen& screen) {
    if (!keys_) return;
    keys_->async_read_some(asio::buffer(key_), [&](boost::system::error_code error, std::size_t) {
      if (error) return;
      if (key_[0] == 'q' || key_[0] == 'Q') ended_ = true;
      hear_keys(screen);
    });
  }

  asio::io_context io_{1};
  Watch watch_;
  asio::steady_timer timer_;
  asio::signal_set signals_{io_};
  std::optional<asio::posix::stream_descriptor> keys_;
  std::array<char, 1> key_{};
  bool ended_ = false;
};

struct Options {
  std::string run, token_file;
};

Exit run(const Options& options) {
  WatchedAs where = watched_as(options.run);
  if (!options.token_file.empty()) {
    ensure(Exit::usage, where.page.has_value(), "--token-file is for a page: name its port or its address");
    where.page->token_file = options.token_file;
  }
  return ::isatty(STDOUT_FILENO) == 1 ? Viewer{where}.run() : print_once(where);
}

}  // namespace

void add_top(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "top", "Show a run in the terminal while it trains (q ends it); once, where the output is no terminal");
  command
      ->add_option("run", options->run,
                   "the --port of tranche launch on this machine, its page's address, or a run's directory; else the "
                   "run under runs/ that was written to last")
      ->type_name("PORT|URL|DIR");
  command
      ->add_option("--token-file", options->token_file,
                   "show a page on another machine the token in this file, the page-token of the run's directory")
      ->type_name("FILE");
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace tranche
