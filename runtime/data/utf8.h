// UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, nothing beyond U+10FFFF.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tranche::utf8 {

// The length in bytes, 1 to 4, of the character that `text` begins with; 0 if it begins with none, or is empty.
std::size_t length(std::string_view text);

// The character of that length.
char32_t character(std::string_view text, std::size_t length);

// The length of the longest prefix of `text` that is valid.
std::size_t valid_prefix(std::string_view text);

void append(std::string& text, char32_t character);

}  // namespace tranche::utf8
