// The terminal on standard output, as a program that draws all of it over and over uses it.
#pragma once

#include <termios.h>

#include <cstddef>
#include <optional>
#include <vector>

#include "launcher/top/line.h"

namespace tranche {

struct Size {
  std::size_t columns = 80, rows = 24;
};

// From here to its end the terminal shows its alternate screen, without cursor, and keys come one by one and unseen.
// Then it is as it was. One at a time.
class Screen {
 public:
  Screen();
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  // Gives the terminal back for a while, and takes it again: around a stop of this process.
  void leave();
  void enter();

  Size size() const;  // as it is now
  // In place of what is there. Lines beyond the screen are left out; longer ones are cut by the terminal.
  void draw(const std::vector<Line>& lines) const;

  // To read keys from, without blocking; -1 where there are none.
  int keys() const { return keys_; }

 private:
  int keys_;
  std::optional<termios> before_;
  bool shown_ = false;
};

}  // namespace tranche
