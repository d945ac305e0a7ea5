// What every tokenizer promises, and how files that are none are refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "runtime/data/bpe_tokenizer.h"
#include "runtime/data/byte_tokenizer.h"
#include "tests/runtime/data/fixtures.h"

namespace tranche::testing {
namespace {

using ::testing::HasSubstr;

BpeDefinition llama3_style() {
  BpeDefinition definition = usual_bpe();
  definition.rule = "llama3";
  definition.whole_words = true;
  return definition;
}

std::unique_ptr<Tokenizer> make(const std::string& kind) {
  if (kind == "byte") return std::make_unique<ByteTokenizer>();
  return std::make_unique<BpeTokenizer>(kind == "gpt2" ? usual_bpe() : llama3_style(), "test");
}

class AnyBytes : public ::testing::TestWithParam<const char*> {};

TEST_P(AnyBytes, RoundTrip) {
  const auto tokenizer = make(GetParam());
  std::mt19937 random{7};
  for (const Texture texture : textures)
    for (std::size_t size = 0; size < 200; ++size) {
      const std::string text = random_text(random, texture, size);
      const std::vector<Token> tokens = tokenizer->encode(text);
      ASSERT_EQ(tokenizer->decode(tokens), text);
      for (const Token token : tokens)
        ASSERT_TRUE(token >= 0 && static_cast<std::size_t>(token) < tokenizer->vocabulary_size());
    }
}

TEST_P(AnyBytes, CuttingATextChangesNoId) {
  const auto tokenizer = make(GetParam());
  std::mt19937 random{8};
  std::size_t cuts = 0;
  for (const Texture texture : textures)
    for (int i = 0; i < 300; ++i) {
      const std::string text = random_text(random, texture, 60);
      const std::size_t known = random() % (text.size() + 1);  // as much as has been read
      const std::size_t at = tokenizer->cut(std::string_view{text}.substr(0, known));
      ASSERT_LE(at, known);
      if (at == 0) continue;
      ++cuts;
      std::vector<Token> tokens = tokenizer->encode(text.substr(0, at));
      const std::vector<Token> rest = tokenizer->encode_continued(text.substr(at));
      tokens.insert(tokens.end(), rest.begin(), rest.end());
      ASSERT_EQ(tokens, tokenizer->encode(text)) << "cut at " << at << " of: " << text;
    }
  EXPECT_GT(cuts, 200);
}

TEST_P(AnyBytes, IsMadeAgainFromItsDefinition) {
  const auto tokenizer = make(GetParam());
  const auto again = make_tokenizer(tokenizer->definition());
  EXPECT_EQ(again->identity(), tokenizer->identity());
  EXPECT_EQ(again->encode("hello the world's 12"), tokenizer->encode("hello the world's 12"));
}

TEST_P(AnyBytes, RefusesIdsOutOfRange) {
  const auto tokenizer = make(GetParam());
  for (const Token token : {-1, static_cast<Token>(tokenizer->vocabulary_size())})
    EXPECT_THROW(tokenizer->decode(std::vector<Token>{token}), Error);
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, AnyBytes, ::testing::Values("byte", "gpt2", "llama3"));

TEST(Identity, DiffersWithTheMergesAndTheRule) {
  const auto identity = [](const BpeDefinition& definition) { return BpeTokenizer{definition, "test"}.identity(); };
  BpeDefinition swapped = usual_bpe();
  std::swap(swapped.merges[0], swapped.merges[1]);
  EXPECT_NE(identity(usual_bpe()), identity(swapped));
  EXPECT_NE(identity(usual_bpe()), identity(llama3_style()));
}

TEST(WholeWords, AreNotMergedWhereTheDefinitionSaysSo) {
  BpeDefinition definition = small_bpe({{"b", "c"}, {"a", "b"}, {"ab", "c"}});  // "abc" is not reached by merging
  EXPECT_EQ(BpeTokenizer(definition, "test").encode("abc"), (std::vector<Token>{'a', 256}));
  definition.whole_words = true;
  EXPECT_EQ(BpeTokenizer(definition, "test").encode("abc"), (std::vector<Token>{258}));
}

// Opening what is not a tokenizer: one message that names the file, Exit::data.
std::string refusal(const std::filesystem::path& path) {
  try {
    open_tokenizer(path.string());
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::data);
    EXPECT_THAT(error.what(), HasSubstr(path.filename().string()));
    return error.what();
  }
  return "it opened";
}

TEST(OpenTokenizer, RefusesWhatIsNone) {
  const TemporaryFolder folder;
  EXPECT_THAT(refusal(folder.path() / "absent"), HasSubstr("no such tokenizer"));
  EXPECT_THAT(refusal(folder.path()), HasSubstr("holds no"));
  EXPECT_THAT(refusal(folder.write("notes.txt", "hello")), HasSubstr("expected a tokenizer.json"));
  EXPECT_THAT(refusal(folder.write("empty.model", "")), HasSubstr("empty"));
  EXPECT_THAT(refusal(folder.write("foreign.model", "this is not a protocol buffer")),
              HasSubstr("not a SentencePiece model"));
  EXPECT_THAT(refusal(folder.write("broken.json", "{\"model\": ")), HasSubstr("broken.json:1"));
}

TEST(OpenTokenizer, NamesTheLineOfABrokenMerge) {
  const TemporaryFolder folder;
  const auto vocabulary = folder.write("vocab.json", vocabulary_json(usual_bpe()).dump());
  const auto message = [&](const std::string& merges) {
    folder.write("merges.txt", merges);
    try {
      open_tokenizer(vocabulary.string());
    } catch (const Error& error) {
      return std::string{error.what()};
    }
    return std::string{"it opened"};
  };
  EXPECT_THAT(message("#version: 0.2\nh e\nhel\n"), HasSubstr("merges.txt:3"));
  EXPECT_THAT(message("h e l\n"), HasSubstr("merges.txt:1"));
  EXPECT_THAT(message("h \xFF\n"), HasSubstr("merges.txt:1"));
  EXPECT_THAT(message("q q\n"), HasSubstr("\"q\" and \"q\""));
  std::filesystem::remove(folder.path() / "merges.txt");
  EXPECT_THAT(refusal(folder.path()), HasSubstr("merges.txt: cannot be opened"));
}

TEST(OpenTokenizer, RefusesVocabulariesThatAreNotByteLevel) {
  const TemporaryFolder folder;
  folder.write("merges.txt", "");
  const auto refused = [&](const Json& vocabulary) { return refusal(folder.write("vocab.json", vocabulary.dump())); };
  EXPECT_THAT(refused({{"a", 0}, {"b", 1}}), HasSubstr("not a byte-level vocabulary"));
  EXPECT_THAT(refused({{"a", 0}, {"b", 2}}), HasSubstr("no token has the id 1"));
  EXPECT_THAT(refused({{"a", 0}, {"b", 0}}), HasSubstr("the id 0 belongs to"));
  EXPECT_THAT(refused({{"a", -1}}), HasSubstr("the id of \"a\""));
  EXPECT_THAT(refused(Json::array({"a"})), HasSubstr("expected an object"));
  EXPECT_THAT(refused(Json::object()), HasSubstr("empty"));
}

TEST(OpenTokenizer, RefusesATokenizerJsonItDoesNotCompute) {
  const TemporaryFolder folder;
  const auto refused = [&](const std::function<void(Json&)>& change) {
    Json json = tokenizer_json(usual_bpe());
    change(json);
    return refusal(folder.write("tokenizer.json", json.dump()));
  };
  EXPECT_THAT(refused([](Json& j) { j["model"]["type"] = "WordPiece"; }), HasSubstr("WordPiece"));
  EXPECT_THAT(refused([](Json& j) { j["model"]["dropout"] = 0.1; }), HasSubstr("dropout"));
  EXPECT_THAT(refused([](Json& j) { j["normalizer"] = {{"type", "NFC"}}; }), HasSubstr("normalizer"));
  EXPECT_THAT(refused([](Json& j) { j["pre_tokenizer"] = nullptr; }), HasSubstr("not byte-level"));
  EXPECT_THAT(refused([](Json& j) { j["pre_tokenizer"]["type"] = "Whitespace"; }), HasSubstr("Whitespace"));
  EXPECT_THAT(refused([](Json& j) { j["pre_tokenizer"]["add_prefix_space"] = true; }), HasSubstr("add_prefix_space"));
  EXPECT_THAT(refused([](Json& j) { j["model"]["merges"].push_back("one"); }), HasSubstr("two tokens"));
  EXPECT_THAT(refused([](Json& j) { j.erase("model"); }), HasSubstr("\"model\" is missing"));
}

TEST(OpenTokenizer, ReadsLlama3sTokenizerJson) {
  const TemporaryFolder folder;
  Json json = tokenizer_json(usual_bpe());
  json["model"]["ignore_merges"] = true;
  json["pre_tokenizer"] = Json::parse(R"({"type": "Sequence", "pretokenizers": [
    {"type": "Split", "behavior": "Isolated", "invert": false, "pattern": {"Regex":
     "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
    {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]})");
  EXPECT_EQ(open_tokenizer(folder.write("tokenizer.json", json.dump()).string())->identity(),
            make("llama3")->identity());
  json["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "\\d";
  EXPECT_THAT(refusal(folder.write("tokenizer.json", json.dump())), HasSubstr("\\d"));
}

TEST(MakeTokenizer, RefusesADamagedDefinition) {
  EXPECT_THROW(make_tokenizer({"unheard-of", ""}), Error);
  EXPECT_THROW(make_tokenizer({"gpt2-bpe", "{"}), Error);
  EXPECT_THROW(
      make_tokenizer({"gpt2-bpe", R"({"rule": "other", "whole_words": false, "vocabulary": [], "merges": []})"}),
      Error);
  EXPECT_THROW(make_tokenizer({"sentencepiece", "x"}), Error);
}

}  // namespace
}  // namespace tranche::testing
