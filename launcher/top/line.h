// A line of a terminal: pieces of text, each in a style, measured in columns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tranche {

enum class Style : std::uint8_t { plain, bold, dim, good, bad, accent };

// Columns of UTF-8 text: a character has one. (Wide ones, of East Asian scripts, have two on most terminals; a line
// that they make too long is cut by the terminal.)
std::size_t columns_of(std::string_view text);

class Line {
 public:
  // What a terminal would obey (control characters, escapes among them) becomes '?': names come from elsewhere.
  Line& add(std::string_view text, Style style = Style::plain);
  // Spaces up to that column; none where the line is there already.
  Line& pad_to(std::size_t column);
  // The line's first columns.
  Line& cut_to(std::size_t columns);

  std::size_t columns() const;
  std::string text() const;    // no styles, no spaces at the end
  std::string styled() const;  // as a terminal takes it (ECMA-48)

 private:
  struct Piece {
    std::string text;
    Style style;
  };
  std::vector<Piece> pieces_;
};

}  // namespace tranche
