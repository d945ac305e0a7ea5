// One token for each byte.
#pragma once

#include "runtime/data/tokenizer.h"

namespace tranche {

class ByteTokenizer final : public Tokenizer {
 public:
  static constexpr const char* kind = "byte";

  ByteTokenizer() : Tokenizer({kind, ""}, 256) {}
  std::vector<Token> encode(std::string_view text) override;
  std::size_t cut(std::string_view text) const override { return text.size(); }
  std::string decode(std::span<const Token> tokens) const override;
};

}  // namespace tranche
