// Text to token ids and back. Three kinds behind one interface:
//   byte           256 tokens, one for each byte
//   gpt2-bpe       byte-level byte-pair encoding (Radford et al., "Language models are unsupervised multitask
//   learners",
//                  2019) from GPT-2's vocab.json + merges.txt (or encoder.json + vocab.bpe), or from a tokenizer.json
//   sentencepiece  a SentencePiece .model (Kudo and Richardson, 2018)
//
// Text is ordinary text: nothing in it becomes a special token, however it is spelled. Bytes that are not UTF-8 survive
// encoding and decoding with the first two kinds; SentencePiece replaces them by U+FFFD and normalises as its model
// says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tranche {

using Token = std::int32_t;

// All that is needed to make a tokenizer again. It is stored in token files and checkpoints.
struct TokenizerDefinition {
  std::string kind;
  std::string bytes;  // canonical: the same tokenizer read from other files has the same bytes
};

// Tokenizers with one identity give the same ids.
struct TokenizerIdentity {
  std::string kind;
  std::string sha256;  // of the definition's bytes, 64 hexadecimal digits
  std::size_t vocabulary_size = 0;

  friend bool operator==(const TokenizerIdentity&, const TokenizerIdentity&) = default;
  friend std::ostream& operator<<(std::ostream& out, const TokenizerIdentity& identity);
};

// Threads: one caller of encode at a time for each object (it keeps a cache); the const functions may run in parallel.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // The ids of a whole text. Every id is in [0, vocabulary_size()).
  virtual std::vector<Token> encode(std::string_view text) = 0;

  // A long text in pieces. With n = cut(text), whatever comes after `text` in the file:
  //   encode(text + more) == encode(first n bytes) followed by encode_continued(the rest of text + more).
  // n is 0 where no such place is known yet: read more.
  virtual std::size_t cut(std::string_view text) const = 0;
  virtual std::vector<Token> encode_continued(std::string_view text) { return encode(text); }

  // Any ids in range give some bytes; ids out of range are an Error (Exit::data).
  virtual std::string decode(std::span<const Token> tokens) const = 0;

  // The token that separates documents, where the vocabulary has one.
  virtual std::optional<Token> end_of_text() const { return std::nullopt; }

  std::size_t vocabulary_size() const { return identity_.vocabulary_size; }
  const TokenizerIdentity& identity() const { return identity_; }
  const TokenizerDefinition& definition() const { return definition_; }

 protected:
  Tokenizer(TokenizerDefinition definition, std::size_t vocabulary_size);
  void check_range(std::span<const Token> tokens) const;  // for decode

 private:
  TokenizerDefinition definition_;
  TokenizerIdentity identity_;
};

// `where` is "byte"; a SentencePiece .model; a tokenizer.json; a vocab.json or encoder.json (its merges beside it); or
// a folder that holds one of these. Throws Exit::data, naming the file, if it is missing, malformed or of another kind.
std::unique_ptr<Tokenizer> open_tokenizer(const std::string& where);

// From a definition stored earlier. Throws Exit::data if it is of no known kind or damaged.
std::unique_ptr<Tokenizer> make_tokenizer(const TokenizerDefinition& definition);

}  // namespace tranche
