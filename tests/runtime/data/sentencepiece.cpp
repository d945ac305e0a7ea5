// SentencePiece models, trained here by the library's own trainer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <iterator>

#include "runtime/data/sentencepiece_tokenizer.h"
#include "tests/runtime/data/fixtures.h"

namespace tranche::testing {
namespace {

class Sentences final : public sentencepiece::SentenceIterator {
 public:
  explicit Sentences(std::vector<std::string> list) : list_(std::move(list)) {}
  bool done() const override { return at_ == list_.size(); }
  void Next() override { ++at_; }
  const std::string& value() const override { return list_[at_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  std::vector<std::string> list_;
  std::size_t at_ = 0;
};

std::string train(const std::string& options) {
  std::mt19937 random{3};
  const std::vector<std::string> words{"the",  "winter",   "of",     "our",    "discontent", "is",
                                       "made", "glorious", "summer", "by",     "this",       "sun",
                                       "York", "and",      "all",    "clouds", "été"};
  std::vector<std::string> sentences;
  for (int i = 0; i < 400; ++i) {
    std::string sentence;
    for (int j = 0; j < 8; ++j) sentence += (j == 0 ? "" : " ") + words[random() % words.size()];
    sentences.push_back(sentence);
  }
  Sentences iterator{sentences};
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(
      "--minloglevel=2 --hard_vocab_limit=false --vocab_size=400 " + options, &iterator, &model);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return model;
}

// As Llama's: nothing normalised, bytes for what has no piece.
const std::string& llama_style() {
  static const std::string model = train(
      "--model_type=bpe --byte_fallback=true --normalization_rule_name=identity --remove_extra_whitespaces=false "
      "--num_threads=1");
  return model;
}
// The trainer's defaults: NFKC, spaces collapsed, a line break is a space.
const std::string& default_style() {
  static const std::string model = train("--model_type=unigram --num_threads=1");
  return model;
}

const std::string text = "the winter of  our discontent\n\n is made glorious\nsummer by this sun of York 日本\n";

std::vector<Token> by_the_library(const std::string& model, const std::string& sentence) {
  sentencepiece::SentencePieceProcessor processor;
  EXPECT_TRUE(processor.LoadFromSerializedProto(model).ok());
  std::vector<int> ids;
  EXPECT_TRUE(processor.Encode(sentence, &ids).ok());
  return ids;
}

TEST(SentencePiece, GivesTheLibrarysIdsForAWholeText) {
  EXPECT_EQ(SentencePieceTokenizer(llama_style(), "test").encode(text), by_the_library(llama_style(), text));
  EXPECT_EQ(SentencePieceTokenizer(default_style(), "test").encode(text), by_the_library(default_style(), text));
}

TEST(SentencePiece, RoundTripsWhereTheModelHasLineBreaks) {
  SentencePieceTokenizer tokenizer{llama_style(), "test"};
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("\n\nthe sun")), "\n\nthe sun");
}

TEST(SentencePiece, CuttingATextChangesNoId) {
  std::mt19937 random{5};
  for (const std::string& model : {llama_style(), default_style()}) {
    SentencePieceTokenizer tokenizer{model, "test"};
    std::size_t cuts = 0;
    for (const Texture texture : textures)
      for (int i = 0; i < 100; ++i) {
        const std::string sample = random_text(random, texture, 60);
        const std::size_t at = tokenizer.cut(std::string_view{sample}.substr(0, random() % (sample.size() + 1)));
        if (at == 0) continue;
        ++cuts;
        std::vector<Token> tokens = tokenizer.encode(sample.substr(0, at));
        const std::vector<Token> rest = tokenizer.encode_continued(sample.substr(at));
        tokens.insert(tokens.end(), rest.begin(), rest.end());
        ASSERT_EQ(tokens, tokenizer.encode(sample));
      }
    EXPECT_GT(cuts, 50);
  }
}

TEST(SentencePiece, IsMadeAgainFromItsDefinition) {
  SentencePieceTokenizer tokenizer{llama_style(), "test"};
  const auto again = make_tokenizer(tokenizer.definition());
  EXPECT_EQ(again->identity(), tokenizer.identity());
  EXPECT_EQ(again->encode(text), tokenizer.encode(text));
  EXPECT_EQ(again->end_of_text(), 2);  // the trainer's default: 0 unknown, 1 begin, 2 end
}

TEST(SentencePiece, DamagedModelsAreRefusedAndNeverCrash) {
  for (std::size_t size = 0; size < llama_style().size(); size += 97) try {
      SentencePieceTokenizer tokenizer{llama_style().substr(0, size), "cut.model"};
      tokenizer.decode(tokenizer.encode(text));  // cut between two messages it may still be a model
    } catch (const Error& error) {
      EXPECT_EQ(error.exit(), Exit::data);
    }
}

}  // namespace
}  // namespace tranche::testing
