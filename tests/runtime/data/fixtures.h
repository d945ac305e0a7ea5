// Tokenizers and texts for the tests of this folder.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "runtime/base/json.h"
#include "runtime/data/bpe_definition.h"
#include "runtime/data/byte_alphabet.h"
#include "runtime/data/utf8.h"
#include "tests/support/temporary_folder.h"

namespace tranche::testing {

// The 256 bytes in order of value, then what each merge makes, then "<|endoftext|>".
inline BpeDefinition small_bpe(const std::vector<std::pair<std::string, std::string>>& merges) {
  BpeDefinition definition;
  for (int byte = 0; byte < 256; ++byte)
    definition.vocabulary.push_back(byte_alphabet::symbol(static_cast<unsigned char>(byte)));
  for (const auto& [left, right] : merges) definition.vocabulary.push_back(left + right);
  definition.vocabulary.push_back("<|endoftext|>");
  definition.merges = merges;
  return definition;
}

// Merges that meet in many words: letters, a space before a letter, digits, line breaks, and the bytes of "é".
inline BpeDefinition usual_bpe() {
  return small_bpe({{"h", "e"},
                    {"Ġ", "t"},
                    {"Ġt", "he"},
                    {"l", "l"},
                    {"he", "ll"},
                    {"hell", "o"},
                    {"Ġ", "w"},
                    {"o", "r"},
                    {"Ġw", "or"},
                    {"l", "d"},
                    {"a", "a"},
                    {"aa", "aa"},
                    {"1", "2"},
                    {"Ċ", "Ċ"},
                    {"Ġ", "Ġ"},
                    {"Ã", "©"},
                    {"'", "s"},
                    {"!", "!"}});
}

inline Json vocabulary_json(const BpeDefinition& definition) {
  Json vocabulary = Json::object();
  for (std::size_t id = 0; id < definition.vocabulary.size(); ++id) vocabulary[definition.vocabulary[id]] = id;
  return vocabulary;
}

inline std::string merges_text(const BpeDefinition& definition) {
  std::string text = "#version: 0.2\n";
  for (const auto& [left, right] : definition.merges) text += left + " " + right + "\n";
  return text;
}

// A tokenizer.json as Hugging Face writes it for GPT-2.
inline Json tokenizer_json(const BpeDefinition& definition) {
  Json json =
      Json::parse(R"({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true},
    "post_processor": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false},
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": "",
              "fuse_unk": false}})");
  json["model"]["vocab"] = vocabulary_json(definition);
  json["model"]["merges"] = Json::array();
  for (const auto& [left, right] : definition.merges) json["model"]["merges"].push_back(left + " " + right);
  return json;
}

enum class Texture { bytes, characters, words, spaces };

// Text that is likely to hit the edges: any bytes; any characters; a few syllables; mostly space.
inline std::string random_text(std::mt19937& random, Texture texture, std::size_t pieces) {
  static const std::vector<std::string> syllables{" the", "hello", " wor", "ld",     "'s",     "'ll",    " ",
                                                  "  ",   "\n",    "\n\n", "\t",     "12",     "aaaaa",  "!!",
                                                  "é",    " é",    "日本", "\u00A0", "\u2003", "\u1680", "\r\n"};
  static const std::vector<std::string> spaces{" ", "\n", "\t", "\u00A0", "\u3000", "\u0085", "x", "\xFF", "\xE2\x80"};
  const auto one_of = [&](const std::vector<std::string>& list) { return list[random() % list.size()]; };
  std::string text;
  for (std::size_t i = 0; i < pieces; ++i) {
    switch (texture) {
      case Texture::bytes: text.push_back(static_cast<char>(random() & 0xFF)); break;
      case Texture::characters: {
        const auto c = static_cast<char32_t>(random() % (random() % 3 == 0 ? 0x80 : 0x110000));
        if (c < 0xD800 || c > 0xDFFF) utf8::append(text, c);
        break;
      }
      case Texture::words: text += one_of(syllables); break;
      case Texture::spaces: text += one_of(spaces); break;
    }
  }
  return text;
}

inline constexpr Texture textures[] = {Texture::bytes, Texture::characters, Texture::words, Texture::spaces};

// GPT-2's own files and other texts that are not ours to commit: found through TRANCHE_TEST_DATA or beside the
// checkout.
inline std::optional<std::filesystem::path> test_data(const std::string& name) {
  const char* const folder = std::getenv("TRANCHE_TEST_DATA");
  const std::filesystem::path path = std::filesystem::path{folder != nullptr ? folder : "../shared/data"} / name;
  return std::filesystem::exists(path) ? std::optional{path} : std::nullopt;
}

}  // namespace tranche::testing
