#include "launcher/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <utility>

#include "runtime/base/error.h"

namespace tranche {
namespace {

constexpr std::chrono::milliseconds redraw{100};

void write_to_standard_error(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

// Columns of the terminal on standard error; 80 where it does not say.
std::size_t terminal_width() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string bar(double done, std::size_t width) {
  const auto full = static_cast<std::size_t>(done * static_cast<double>(width));
  return str('[', std::string(full, '#'), std::string(width - full, '.'), ']');
}

}  // namespace

std::string digits(const char* format, double value) {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::max(0.0, std::round(seconds)));
  if (whole < 120) return str(whole, " s");
  const std::uint64_t minutes = (whole + 30) / 60;
  if (minutes < 120) return str(minutes, " min");
  return minutes % 60 == 0 ? str(minutes / 60, " h") : str(minutes / 60, " h ", minutes % 60, " min");
}

std::string count_text(double count) {
  if (count < 1e3) return digits("%.0f", count);
  if (count < 1e6) return digits(count < 1e4 ? "%.2fk" : "%.1fk", count / 1e3);
  if (count < 1e9) return digits("%.2fM", count / 1e6);
  if (count < 1e12) return digits("%.2fB", count / 1e9);
  return digits("%.2fT", count / 1e12);
}

Progress::Progress(std::uint64_t first, std::uint64_t steps, std::uint64_t every)
    : Progress(first, steps, every, ::isatty(STDERR_FILENO) == 1, write_to_standard_error) {}

Progress::Progress(std::uint64_t first, std::uint64_t steps, std::uint64_t every, bool terminal,
                   std::function<void(const std::string&)> write)
    : first_(first), steps_(steps), every_(every), terminal_(terminal), write_(std::move(write)) {}

Progress::~Progress() {
  if (drawn_) write_("\n");
}

std::string Progress::time_left(std::uint64_t step) const {
  const std::chrono::duration<double> spent = Clock::now() - start_;
  const double of_each = spent.count() / static_cast<double>(step - first_);
  return duration_text(of_each * static_cast<double>(steps_ - std::min(step, steps_)));
}

std::string Progress::text(const StepMetrics& metrics) const {
  std::string line = str("loss ", digits("%.4f", metrics.loss), ", ", count_text(metrics.tokens_per_second),
                         " tokens/s, ", time_left(metrics.step), " left");
  if (metrics.loss_scale != 1) line += ", scale " + digits("%g", metrics.loss_scale);
  if (metrics.skipped) line += ", skipped: the gradient overflowed";
  return line;
}

void Progress::step(const StepMetrics& metrics) {
  const std::string place = str("step ", metrics.step, "/", steps_);
  const bool last = metrics.step >= steps_;
  if (!terminal_) {
    if (metrics.step % every_ == 0 || last)
      write_(str(place, ": ", text(metrics), ", rate ", digits("%.3g", metrics.learning_rate), ", norm ",
                 digits("%.3g", metrics.gradient_norm), "\n"));
    return;
  }
  if (drawn_ && !last && Clock::now() - last_drawn_ < redraw) return;
  const double done = static_cast<double>(metrics.step) / static_cast<double>(std::max<std::uint64_t>(steps_, 1));
  std::string line = str(place, " ", bar(std::min(done, 1.0), 20), " ", text(metrics));
  if (const std::size_t width = terminal_width(); line.size() >= width) line.resize(width - 1);  // a wrapped line stays
  write_("\r\033[K" + line);
  drawn_ = true;
  last_drawn_ = Clock::now();
}

void Progress::clear() {
  if (drawn_) write_("\r\033[K");
  drawn_ = false;
}

}  // namespace tranche
