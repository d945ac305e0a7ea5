// A SentencePiece model: unigram or BPE, as its trainer stored it.
//
// The library encodes one sentence; a file is many lines. A text is taken apart behind each run of line breaks and the
// pieces are encoded one after another. Where the model has a token for a line break (byte fallback, or a piece of its
// own), the first piece alone gets the space that the model puts in front of a sentence, so that decoding gives the
// text back and the ids are those of the text encoded as one sentence. Where it has none, line breaks separate
// sentences and do not survive, as in the model's own training; opening it says so. No begin or end of sentence is
// added.
#pragma once

#include <memory>
#include <string>

#include "runtime/data/tokenizer.h"

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace tranche {

class SentencePieceTokenizer final : public Tokenizer {
 public:
  static constexpr const char* kind = "sentencepiece";

  // `model` is the content of a .model file, `name` names it in messages.
  SentencePieceTokenizer(const std::string& model, const std::string& name);
  ~SentencePieceTokenizer() override;

  std::vector<Token> encode(std::string_view text) override;
  std::vector<Token> encode_continued(std::string_view text) override;
  std::size_t cut(std::string_view text) const override;
  std::string decode(std::span<const Token> tokens) const override;
  std::optional<Token> end_of_text() const override;

 private:
  using Processor = sentencepiece::SentencePieceProcessor;
  SentencePieceTokenizer(const std::string& model, std::unique_ptr<Processor> processor, const std::string& name);
  void append(std::string_view sentence, const Processor& processor, std::vector<Token>& tokens) const;

  std::unique_ptr<Processor> processor_;
  std::unique_ptr<Processor> continuing_;  // the same without the space in front; null where line breaks are lost
};

}  // namespace tranche
