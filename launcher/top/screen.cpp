#include "launcher/top/screen.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>

namespace tranche {
namespace {

// All of it, or as much as the terminal takes before it is gone.
void put(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno != EINTR) return;
    text.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
  }
}

// no-color.org
bool colours() {
  const char* const no = std::getenv("NO_COLOR");
  return no == nullptr || *no == '\0';
}

}  // namespace

// Opened anew: a description of its own, so that not blocking is nobody else's affair.
Screen::Screen() : keys_(::open("/dev/tty", O_RDONLY | O_NONBLOCK | O_CLOEXEC)) { enter(); }

Screen::~Screen() {
  leave();
  if (keys_ >= 0) ::close(keys_);
}

void Screen::enter() {
  if (shown_) return;
  shown_ = true;
  if (termios now{}; keys_ >= 0 && ::tcgetattr(keys_, &now) == 0) {
    before_ = now;
    now.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    ::tcsetattr(keys_, TCSANOW, &now);
  }
  put("\033[?1049h\033[?25l\033[?7l");  // alternate screen, no cursor, no wrapping
}

void Screen::leave() {
  if (!shown_) return;
  shown_ = false;
  put("\033[?7h\033[?25h\033[?1049l");
  if (before_) ::tcsetattr(keys_, TCSANOW, &*before_);
  before_.reset();
}

Size Screen::size() const {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {size.ws_col, size.ws_row};
}

void Screen::draw(const std::vector<Line>& lines) const {
  const std::size_t shown = std::min(lines.size(), size().rows);
  std::string text = "\033[H";
  for (std::size_t i = 0; i < shown; ++i) {
    if (i != 0) text += "\r\n";
    text += (colours() ? lines[i].styled() : lines[i].text()) + "\033[K";
  }
  put(text + "\033[J");
}

}  // namespace tranche
