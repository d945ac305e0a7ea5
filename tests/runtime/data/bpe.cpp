// Byte-pair encoding: how text is cut, in which order pairs merge, and GPT-2's published ids.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "runtime/data/bpe_tokenizer.h"
#include "runtime/data/pre_tokens.h"
#include "tests/runtime/data/fixtures.h"

namespace tranche::testing {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> pre_tokens(const PreTokenRule& rule, std::string_view text) {
  PreTokenizer pre_tokenizer{rule};
  std::vector<std::string> pieces;
  pre_tokenizer.split(text, [&](std::string_view piece) { pieces.emplace_back(piece); });
  return pieces;
}
std::vector<std::string> gpt2(std::string_view text) { return pre_tokens(gpt2_rule(), text); }
std::vector<std::string> llama3(std::string_view text) { return pre_tokens(*find_rule_by_name("llama3"), text); }

TEST(PreTokens, AreGpt2s) {
  EXPECT_THAT(gpt2("Hello world"), ElementsAre("Hello", " world"));
  EXPECT_THAT(gpt2("We'll see, it's 2024!"), ElementsAre("We", "'ll", " see", ",", " it", "'s", " 2024", "!"));
  EXPECT_THAT(gpt2("a  b\n\n c"), ElementsAre("a", " ", " b", "\n\n", " c"));
  EXPECT_THAT(gpt2("x \n"), ElementsAre("x", " \n"));
  EXPECT_THAT(gpt2("été 日本x"), ElementsAre("été", " 日本x"));
  EXPECT_THAT(gpt2("IT'S"), ElementsAre("IT", "'", "S"));  // contractions are lower case only
}

TEST(PreTokens, TakeUnicodesWhiteSpaceForSpace) {
  EXPECT_THAT(gpt2("a\u00A0\u3000b"), ElementsAre("a", "\u00A0", "\u3000", "b"));
  EXPECT_THAT(gpt2("a\u180Eb"), ElementsAre("a", "\u180E", "b"));
  EXPECT_THAT(gpt2(" \u180E"), ElementsAre(" \u180E"));  // it was a space before Unicode 6.3: PCRE2's \s still has it
  EXPECT_THAT(gpt2(" \u200B"), ElementsAre(" \u200B"));
}

TEST(PreTokens, AreLlama3s) {
  EXPECT_THAT(llama3("WE'LL see 12345"), ElementsAre("WE", "'LL", " see", " ", "123", "45"));
  EXPECT_THAT(llama3("a;\n\n  b"), ElementsAre("a", ";\n\n", " ", " b"));
}

TEST(PreTokens, KeepBytesThatAreNoUtf8Apart) {
  EXPECT_THAT(gpt2("ab\xFF\xFE cd"), ElementsAre("ab", "\xFF\xFE", " cd"));
  EXPECT_THAT(gpt2("\xE2\x80"), ElementsAre("\xE2\x80"));          // a character cut short
  EXPECT_THAT(gpt2("\xED\xA0\x80"), ElementsAre("\xED\xA0\x80"));  // a surrogate
  EXPECT_THAT(gpt2(std::string{"\0a", 2}), ElementsAre(std::string(1, '\0'), "a"));
}

TEST(Bpe, MergesByRankThenFromTheLeft) {
  // Ids: 256 "ab", 257 "bc", 258 "abc" (of "a" and "bc"), 259 "aa".
  BpeTokenizer tokenizer{small_bpe({{"a", "b"}, {"b", "c"}, {"a", "bc"}, {"a", "a"}}), "test"};
  EXPECT_THAT(tokenizer.encode("abc"), ElementsAre(256, 'c'));  // "ab" ranks before "bc"
  EXPECT_THAT(tokenizer.encode("bc"), ElementsAre(257));
  EXPECT_THAT(tokenizer.encode("aaa"), ElementsAre(259, 'a'));
  EXPECT_THAT(tokenizer.encode("aab"), ElementsAre('a', 256));
  EXPECT_THAT(tokenizer.encode("aab aab"), ElementsAre('a', 256, ' ', 'a', 256));
}

TEST(Bpe, AMergeWhosePartsHaveChangedIsForgotten) {
  // Ids: 256 "bc", 257 "abc", 258 "ab". The first "a" could merge with "b" until it became part of "abc".
  BpeTokenizer tokenizer{small_bpe({{"b", "c"}, {"a", "bc"}, {"a", "b"}}), "test"};
  EXPECT_THAT(tokenizer.encode("abcb"), ElementsAre(257, 'b'));
}

TEST(Bpe, AgreesWithTheDefinitionOnRandomWords) {
  const BpeDefinition definition = usual_bpe();
  BpeTokenizer tokenizer{definition, "test"};
  // The definition, slowly: merge the leftmost pair of the best rank until there is none.
  const auto slowly = [&](const std::string& word) {
    std::vector<std::string> parts;
    for (const char c : word) parts.push_back(byte_alphabet::symbol(static_cast<unsigned char>(c)));
    for (bool merged = true; merged;) {
      merged = false;
      for (const auto& [left, right] : definition.merges) {
        for (std::size_t i = 0; i + 1 < parts.size() && !merged; ++i) {
          if (parts[i] != left || parts[i + 1] != right) continue;
          parts[i] += parts[i + 1];
          parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(i) + 1);
          merged = true;
        }
        if (merged) break;
      }
    }
    std::vector<Token> ids;
    for (const std::string& part : parts)
      ids.push_back(static_cast<Token>(std::ranges::find(definition.vocabulary, part) - definition.vocabulary.begin()));
    return ids;
  };
  std::mt19937 random{1};
  for (int i = 0; i < 2000; ++i) {
    std::string word;
    for (std::size_t n = 1 + random() % 12; n > 0; --n) word.push_back("helowrdat"[random() % 9]);
    EXPECT_EQ(tokenizer.encode(word), slowly(word)) << word;
  }
}

TEST(Bpe, LongWordsAreNotSlow) {
  BpeTokenizer tokenizer{usual_bpe(), "test"};
  const std::string word(400'000, 'a'), spaces(400'000, ' ');
  EXPECT_EQ(tokenizer.encode(word).size(), 100'000);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(spaces + "x")), spaces + "x");
}

TEST(Bpe, TheFilesItComesFromDoNotMatter) {
  const TemporaryFolder folder;
  const BpeDefinition definition = usual_bpe();
  folder.write("vocab.json", vocabulary_json(definition).dump());
  folder.write("merges.txt", merges_text(definition));
  folder.write("encoder.json", vocabulary_json(definition).dump(2));
  folder.write("vocab.bpe", merges_text(definition));
  folder.write("tokenizer.json", tokenizer_json(definition).dump());
  Json pairs = tokenizer_json(definition);  // merges as lists, the added token not in the vocabulary
  for (Json& merge : pairs["model"]["merges"]) {
    const auto text = merge.get<std::string>();
    merge = Json::array({text.substr(0, text.find(' ')), text.substr(text.find(' ') + 1)});
  }
  BpeDefinition without_added = definition;
  without_added.vocabulary.pop_back();
  pairs["model"]["vocab"] = vocabulary_json(without_added);
  pairs["added_tokens"].push_back(
      {{"id", definition.vocabulary.size() - 1}, {"content", "<|endoftext|>"}, {"special", true}});
  folder.write("later.json", pairs.dump());

  const auto reference = open_tokenizer((folder.path() / "vocab.json").string());
  for (const char* name : {"encoder.json", "tokenizer.json", "later.json", ""}) {
    const auto tokenizer = open_tokenizer((folder.path() / name).string());
    EXPECT_EQ(tokenizer->identity(), reference->identity()) << name;
    EXPECT_EQ(tokenizer->definition().bytes, reference->definition().bytes) << name;
    EXPECT_EQ(tokenizer->end_of_text(), static_cast<Token>(definition.vocabulary.size() - 1)) << name;
  }
}

// GPT-2's own vocabulary, where it lies beside the checkout. The ids are those that OpenAI's encoder.py gives.
class Gpt2 : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto folder = test_data("gpt2");
    if (folder) tokenizer_ = open_tokenizer(folder->string());
  }
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(Gpt2, GivesThePublishedIds) {
  if (!tokenizer_) return;
  const std::vector<std::pair<std::string, std::vector<Token>>> published{
      {"Hello world", {15496, 995}},
      {"Hello, my dog is cute", {15496, 11, 616, 3290, 318, 13779}},
      {"The quick brown fox jumps over the lazy dog", {464, 2068, 7586, 21831, 18045, 625, 262, 16931, 3290}},
      {"'Tis done: I'll go.\n\n\tx  = 3.14;",
       {6, 51, 271, 1760, 25, 314, 1183, 467, 13, 628, 197, 87, 220, 796, 513, 13, 1415, 26}},
      {"naïve café — “quoted”… 日本語 🙂",
       {2616, 38776, 40304, 851, 564, 250, 421, 5191, 447, 251, 1399, 10545, 245, 98, 17312, 105, 45739, 252, 32485}},
      {"    indented\n\n\n", {220, 220, 220, 773, 4714, 628, 198}},
      {"", {}},
  };
  for (const auto& [text, ids] : published) EXPECT_EQ(tokenizer_->encode(text), ids) << text;
  EXPECT_EQ(tokenizer_->vocabulary_size(), 50257);
  EXPECT_EQ(tokenizer_->end_of_text(), 50256);
  EXPECT_NE(tokenizer_->encode("<|endoftext|>"), std::vector<Token>{50256});  // text never becomes a special token
  EXPECT_EQ(tokenizer_->decode(std::vector<Token>{50256}), "<|endoftext|>");
}

TEST_F(Gpt2, RoundTripsShakespeareInThePublishedNumberOfTokens) {
  const auto path = test_data("tinyshakespeare.txt");
  if (!tokenizer_ || !path) return;
  std::ifstream file{*path, std::ios::binary};
  const std::string text{std::istreambuf_iterator<char>{file}, {}};
  const std::vector<Token> tokens = tokenizer_->encode(text);
  EXPECT_EQ(tokenizer_->decode(tokens), text);
  EXPECT_EQ(tokens.size(), 301'966 + 36'059);  // nanoGPT's data/shakespeare/readme.md
}

}  // namespace
}  // namespace tranche::testing
