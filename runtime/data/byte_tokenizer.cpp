#include "runtime/data/byte_tokenizer.h"

namespace tranche {

std::vector<Token> ByteTokenizer::encode(std::string_view text) {
  std::vector<Token> tokens(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) tokens[i] = static_cast<unsigned char>(text[i]);
  return tokens;
}

std::string ByteTokenizer::decode(std::span<const Token> tokens) const {
  check_range(tokens);
  std::string text(tokens.size(), '\0');
  for (std::size_t i = 0; i < tokens.size(); ++i) text[i] = static_cast<char>(tokens[i]);
  return text;
}

}  // namespace tranche
