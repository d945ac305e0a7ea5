#include "launcher/top/line.h"

#include "runtime/base/error.h"

namespace tranche {
namespace {

bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) != 0x80; }

// C0 and DEL are one byte; C1 (U+0080 to U+009F) is 0xc2 and one of 0x80 to 0x9f.
std::string harmless(std::string_view text) {
  std::string all;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool second = byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (second) ++i;
    all += byte < 0x20 || byte == 0x7f || second ? '?' : text[i];
  }
  return all;
}

const char* code(Style style) {
  switch (style) {
    case Style::bold: return "1";
    case Style::dim: return "2";
    case Style::good: return "32";
    case Style::bad: return "1;31";
    case Style::accent: return "36";
    case Style::plain: break;
  }
  return "";
}

}  // namespace

std::size_t columns_of(std::string_view text) {
  std::size_t columns = 0;
  for (const char byte : text) columns += begins_character(byte) ? 1 : 0;
  return columns;
}

Line& Line::add(std::string_view text, Style style) {
  if (!text.empty()) pieces_.push_back({harmless(text), style});
  return *this;
}

Line& Line::pad_to(std::size_t column) {
  if (const std::size_t now = columns(); now < column)
    pieces_.push_back({std::string(column - now, ' '), Style::plain});
  return *this;
}

Line& Line::cut_to(std::size_t columns) {
  std::size_t left = columns;
  for (Piece& piece : pieces_) {
    std::size_t end = 0;
    for (; end < piece.text.size(); ++end)
      if (begins_character(piece.text[end]) && left-- == 0) {
        left = 0;
        break;
      }
    piece.text.resize(end);
  }
  return *this;
}

std::size_t Line::columns() const {
  std::size_t columns = 0;
  for (const Piece& piece : pieces_) columns += columns_of(piece.text);
  return columns;
}

std::string Line::text() const {
  std::string all;
  for (const Piece& piece : pieces_) all += piece.text;
  return all.substr(0, all.find_last_not_of(' ') + 1);
}

std::string Line::styled() const {
  std::string all;
  for (const Piece& piece : pieces_)
    all += piece.style == Style::plain ? piece.text : str("\033[", code(piece.style), "m", piece.text, "\033[0m");
  return all;
}

}  // namespace tranche
