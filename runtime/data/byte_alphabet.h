// The 256 printable characters that stand for the 256 bytes in GPT-2's vocabulary and merges files: a byte that is a
// printable Latin-1 character stands for itself, the others are U+0100, U+0101, ... in order. A space is "Ġ".
// Source: bytes_to_unicode() of GPT-2's encoder.py.
#pragma once

#include <string>
#include <string_view>

namespace tranche::byte_alphabet {

// UTF-8 of the character that stands for a byte.
const std::string& symbol(unsigned char byte);

// The bytes that `spelling` stands for. A spelling with a character outside the alphabet (an added token) stands for
// itself.
std::string bytes_of(std::string_view spelling);

}  // namespace tranche::byte_alphabet
