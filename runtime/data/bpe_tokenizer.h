// Byte-level byte-pair encoding. A pre-token starts as its bytes; of the pairs of neighbours that merge, the one with
// the lowest rank (the leftmost of equals) is merged, until none is left.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/data/bpe_definition.h"
#include "runtime/data/pre_tokens.h"
#include "runtime/data/tokenizer.h"

namespace tranche {

class BpeTokenizer final : public Tokenizer {
 public:
  static constexpr const char* kind = "gpt2-bpe";

  // Throws Exit::data if a byte has no token, a merge names a token that is not there, or two tokens are spelled alike.
  // `name` is for messages.
  BpeTokenizer(const BpeDefinition& definition, const std::string& name);

  std::vector<Token> encode(std::string_view text) override;
  std::size_t cut(std::string_view text) const override { return pre_tokenizer_.cut(text); }
  std::string decode(std::span<const Token> tokens) const override;
  std::optional<Token> end_of_text() const override { return end_of_text_; }

 private:
  struct Merge {
    std::uint32_t rank;
    Token result;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    std::size_t operator()(std::uint64_t pair) const { return pair * 0x9E3779B97F4A7C15u >> 20; }
  };
  using Words = std::unordered_map<std::string, std::vector<Token>, Hash, std::equal_to<>>;

  const Merge* find_merge(Token left, Token right) const;
  void append_word(std::string_view word, std::vector<Token>& tokens);
  std::vector<Token> merge(std::string_view word) const;

  PreTokenizer pre_tokenizer_;
  std::vector<std::string> bytes_;  // by id
  std::array<Token, 256> token_of_byte_{};
  std::unordered_map<std::uint64_t, Merge, Hash> merges_;  // by left << 32 | right
  std::optional<Token> end_of_text_;
  Words whole_words_;  // empty unless the definition wants them looked up first
  Words cache_;
};

}  // namespace tranche
