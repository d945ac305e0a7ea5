#include "runtime/data/byte_alphabet.h"

#include <array>

#include "runtime/data/utf8.h"

namespace tranche::byte_alphabet {
namespace {

struct Alphabet {
  std::array<std::string, 256> symbols;
  std::array<int, 0x144> bytes;  // of each character; -1 outside the alphabet

  Alphabet() {
    bytes.fill(-1);
    char32_t next = 0x100;
    for (unsigned byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      const char32_t character = printable ? byte : next++;
      utf8::append(symbols[byte], character);
      bytes[character] = static_cast<int>(byte);
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet table;
  return table;
}

}  // namespace

const std::string& symbol(unsigned char byte) { return alphabet().symbols[byte]; }

std::string bytes_of(std::string_view spelling) {
  std::string bytes;
  for (std::string_view rest = spelling; !rest.empty();) {
    const std::size_t length = utf8::length(rest);
    if (length == 0) return std::string{spelling};
    const char32_t character = utf8::character(rest, length);
    if (character >= alphabet().bytes.size() || alphabet().bytes[character] < 0) return std::string{spelling};
    bytes.push_back(static_cast<char>(alphabet().bytes[character]));
    rest.remove_prefix(length);
  }
  return bytes;
}

}  // namespace tranche::byte_alphabet
