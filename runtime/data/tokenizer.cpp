#include "runtime/data/tokenizer.h"

#include <fstream>
#include <iterator>
#include <ostream>

#include "runtime/base/error.h"
#include "runtime/base/sha256.h"
#include "runtime/data/bpe_tokenizer.h"
#include "runtime/data/byte_tokenizer.h"
#include "runtime/data/sentencepiece_tokenizer.h"

namespace tranche {
namespace {

std::string sha256_of(std::string_view bytes) {
  Sha256 digest;
  digest.add(bytes);
  return digest.hex();
}

std::string contents_of(const std::filesystem::path& path) {
  std::ifstream file{path, std::ios::binary};
  ensure(Exit::data, file.is_open(), path.string(), ": cannot be opened");
  std::string bytes{std::istreambuf_iterator<char>{file}, {}};
  ensure(Exit::data, !file.bad(), path.string(), ": cannot be read");
  return bytes;
}

std::unique_ptr<Tokenizer> open_bpe(const std::filesystem::path& vocabulary, const char* merges) {
  return std::make_unique<BpeTokenizer>(read_bpe(vocabulary, vocabulary.parent_path() / merges), vocabulary.string());
}

std::unique_ptr<Tokenizer> open_file(const std::filesystem::path& file) {
  const std::string name = file.filename().string();
  if (name.ends_with("vocab.json")) return open_bpe(file, "merges.txt");
  if (name.ends_with("encoder.json")) return open_bpe(file, "vocab.bpe");
  if (name.ends_with(".json")) return std::make_unique<BpeTokenizer>(read_tokenizer_json(file), file.string());
  if (name.ends_with(".model")) return std::make_unique<SentencePieceTokenizer>(contents_of(file), file.string());
  fail(Exit::data, str(file.string(),
                       ": expected a tokenizer.json, a vocab.json or encoder.json with its merges beside "
                       "it, or a SentencePiece .model"));
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const TokenizerIdentity& identity) {
  return out << identity.kind << " (" << identity.vocabulary_size << " tokens, " << identity.sha256.substr(0, 12)
             << ")";
}

Tokenizer::Tokenizer(TokenizerDefinition definition, std::size_t vocabulary_size)
    : definition_(std::move(definition)), identity_{definition_.kind, sha256_of(definition_.bytes), vocabulary_size} {}

void Tokenizer::check_range(std::span<const Token> tokens) const {
  for (const Token token : tokens)
    ensure(Exit::data, token >= 0 && static_cast<std::size_t>(token) < vocabulary_size(), "decode: the token ", token,
           " is not in the tokenizer's vocabulary of ", vocabulary_size());
}

std::unique_ptr<Tokenizer> open_tokenizer(const std::string& where) {
  if (where == ByteTokenizer::kind) return std::make_unique<ByteTokenizer>();
  const std::filesystem::path path{where};
  std::error_code error;
  ensure(Exit::data, std::filesystem::exists(path, error), where,
         ": no such tokenizer; expected \"byte\", a tokenizer's file or the folder it is in");
  if (!std::filesystem::is_directory(path, error)) return open_file(path);
  for (const char* const name : {"tokenizer.model", "tokenizer.json", "vocab.json", "encoder.json"})
    if (std::filesystem::exists(path / name, error)) return open_file(path / name);
  fail(Exit::data, str(where, ": this folder holds no tokenizer.model, tokenizer.json, vocab.json or encoder.json"));
}

std::unique_ptr<Tokenizer> make_tokenizer(const TokenizerDefinition& definition) {
  const std::string name = "the stored tokenizer";
  if (definition.kind == ByteTokenizer::kind) return std::make_unique<ByteTokenizer>();
  if (definition.kind == BpeTokenizer::kind)
    return std::make_unique<BpeTokenizer>(bpe_from_text(definition.bytes, name), name);
  if (definition.kind == SentencePieceTokenizer::kind)
    return std::make_unique<SentencePieceTokenizer>(definition.bytes, name);
  fail(Exit::data, str("a tokenizer of the kind \"", definition.kind, "\" is not known"));
}

}  // namespace tranche
