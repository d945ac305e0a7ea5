// What defines a byte-level BPE tokenizer, read from the files in which such tokenizers are published.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace tranche {

struct BpeDefinition {
  std::string rule = "gpt2";            // how text is cut into pre-tokens: a PreTokenRule's name
  bool whole_words = false;             // a pre-token that is in the vocabulary is not merged ("ignore_merges")
  std::vector<std::string> vocabulary;  // by id, spelled in the byte alphabet; added tokens as they are
  std::vector<std::pair<std::string, std::string>> merges;  // earlier ones first
};

// All of these throw Exit::data, naming the file and what is wrong in it.

// vocab.json (encoder.json): {"token": id, ...}. merges.txt (vocab.bpe): "left right" on each line, after "#version".
BpeDefinition read_bpe(const std::filesystem::path& vocabulary, const std::filesystem::path& merges);

// Hugging Face's tokenizer.json. Anything in it that we do not compute (another model, a normalizer, another
// pre-tokenizer, dropout) is an error. Post-processors are ignored: they only add special tokens around a text.
BpeDefinition read_tokenizer_json(const std::filesystem::path& file);

// One text for one tokenizer, whichever files it came from; and back. `name` is for messages.
std::string to_text(const BpeDefinition& definition);
BpeDefinition bpe_from_text(const std::string& text, const std::string& name);

}  // namespace tranche
