// Token files: what is written is read back, nothing half-written shows, and what is no token file is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <thread>

#include "runtime/data/bpe_tokenizer.h"
#include "runtime/data/byte_tokenizer.h"
#include "runtime/data/token_file.h"
#include "runtime/data/tokenize_files.h"
#include "tests/faults/io_script.h"
#include "tests/runtime/data/fixtures.h"

namespace tranche::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<Token> all_tokens(const TokenFile& file) {
  std::vector<Token> tokens(file.size());
  file.read(0, tokens);
  return tokens;
}

// 256 bytes and enough others that ids need 32 bits; "ab" is the only merge.
BpeDefinition large_bpe() {
  BpeDefinition definition = small_bpe({{"a", "b"}});
  while (definition.vocabulary.size() < 70'000)
    definition.vocabulary.push_back("<|" + std::to_string(definition.vocabulary.size()) + "|>");
  return definition;
}

class TokenFiles : public ::testing::Test {
 protected:
  std::filesystem::path bytes_file(const std::string& text) const {
    ByteTokenizer tokenizer;
    const std::vector<std::filesystem::path> inputs{folder_.write("text.txt", text)};
    tokenize_files(tokenizer, inputs, folder_.path() / "tokens.h5");
    return folder_.path() / "tokens.h5";
  }
  // What opening the file and reading all of it says; Exit::data.
  static std::string refusal(const std::filesystem::path& path) {
    try {
      all_tokens(TokenFile{path});
    } catch (const Error& error) {
      EXPECT_EQ(error.exit(), Exit::data);
      EXPECT_THAT(error.what(), HasSubstr(path.filename().string()));
      return error.what();
    }
    return "it opened";
  }
  const TemporaryFolder folder_;
};

TEST_F(TokenFiles, GiveBackWhatWasWritten) {
  BpeTokenizer tokenizer{usual_bpe(), "test"};
  const std::vector<std::filesystem::path> inputs{folder_.write("a.txt", "hello the world"),
                                                  folder_.write("b.txt", "12")};
  const auto output = folder_.path() / "tokens.h5";
  const TokenizeProgress done = tokenize_files(tokenizer, inputs, output);

  std::vector<Token> expected = tokenizer.encode("hello the world");
  expected.push_back(*tokenizer.end_of_text());
  const std::uint64_t second = expected.size();
  for (const Token token : tokenizer.encode("12")) expected.push_back(token);
  expected.push_back(*tokenizer.end_of_text());

  const TokenFile file{output};
  EXPECT_EQ(all_tokens(file), expected);
  EXPECT_EQ(done.tokens, expected.size());
  EXPECT_EQ(done.bytes_read, 17);
  EXPECT_EQ(done.bytes_in_all, 17);
  EXPECT_THAT(file.documents(), ElementsAre(0, second));
  EXPECT_THAT(file.sources(), ElementsAre(inputs[0].string(), inputs[1].string()));
  EXPECT_EQ(file.tokenizer(), tokenizer.identity());
  EXPECT_EQ(make_tokenizer(file.tokenizer_definition())->identity(), tokenizer.identity());
  EXPECT_EQ(make_tokenizer(file.tokenizer_definition())->decode(expected),
            "hello the world<|endoftext|>12<|endoftext|>");

  std::vector<Token> part(3);
  file.read(2, part);
  EXPECT_EQ(part, std::vector<Token>(expected.begin() + 2, expected.begin() + 5));
  EXPECT_THROW(file.read(expected.size() - 2, part), Error);
}

TEST_F(TokenFiles, HoldLargeVocabulariesToo) {
  BpeTokenizer tokenizer{large_bpe(), "test"};
  TokenFileWriter writer{folder_.path() / "tokens.h5", tokenizer};
  writer.begin_document();
  writer.append(std::vector<Token>{256, 69'999, 0});
  writer.finish({"by hand"});
  EXPECT_THAT(all_tokens(TokenFile{folder_.path() / "tokens.h5"}), ElementsAre(256, 69'999, 0));
}

TEST_F(TokenFiles, TheTokensHashNamesTheirContent) {
  const std::string first = TokenFile{bytes_file("some text")}.sha256();
  EXPECT_EQ(TokenFile{bytes_file("some text")}.sha256(), first);
  EXPECT_NE(TokenFile{bytes_file("some texT")}.sha256(), first);
}

TEST_F(TokenFiles, AreReadByManyAtOnce) {
  std::mt19937 random{1};
  const std::string text = random_text(random, Texture::bytes, 300'000);
  const TokenFile file{bytes_file(text)};
  const auto read_through = [&](std::uint64_t step) {
    const TokenFile own{file.path()};
    std::vector<Token> tokens(100);
    for (std::uint64_t first = 0; first + 100 <= text.size(); first += step) {
      (first % 2 == 0 ? own : file).read(first, tokens);
      for (std::size_t i = 0; i < 100; ++i) ASSERT_EQ(tokens[i], static_cast<unsigned char>(text[first + i]));
    }
  };
  std::vector<std::jthread> readers;
  for (const std::uint64_t step : {997u, 1009u, 2003u}) readers.emplace_back(read_through, step);
}

TEST_F(TokenFiles, ForeignAndDamagedOnesAreRefused) {
  EXPECT_THAT(refusal(folder_.path() / "absent.h5"), HasSubstr("absent.h5"));
  EXPECT_THAT(refusal(folder_.write("text.h5", "this is not HDF5")), HasSubstr("text.h5"));
  EXPECT_THAT(refusal(folder_.write("empty.h5", "")), HasSubstr("empty.h5"));

  auto foreign = hdf5::File::create(folder_.path() / "foreign.h5");
  foreign.create_appendable("tokens", hdf5::Type::uint16);
  foreign.close();
  EXPECT_THAT(refusal(folder_.path() / "foreign.h5"), HasSubstr("not a token file"));

  auto newer = hdf5::File::create(folder_.path() / "newer.h5");
  newer.set_attribute("format", std::string{"tranche tokens"});
  newer.set_attribute("version", std::int64_t{2});
  newer.close();
  EXPECT_THAT(refusal(folder_.path() / "newer.h5"), HasSubstr("version 2"));

  ByteTokenizer tokenizer;
  TokenFileWriter{folder_.path() / "nothing.h5", tokenizer}.finish({});
  EXPECT_THAT(refusal(folder_.path() / "nothing.h5"), HasSubstr("no tokens"));
}

TEST_F(TokenFiles, TruncatedAnywhereAreRefused) {
  const auto path = bytes_file(std::string(50'000, 'x'));
  const auto size = std::filesystem::file_size(path);
  for (std::uintmax_t length = 0; length < size; length += 1 + size / 41) {
    std::filesystem::copy_file(path, folder_.path() / "cut.h5", std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(folder_.path() / "cut.h5", length);
    EXPECT_THAT(refusal(folder_.path() / "cut.h5"), HasSubstr("cut.h5")) << length << " of " << size;
  }
}

TEST_F(TokenFiles, AFlippedByteAmongTheTokensIsFound) {
  const auto path = bytes_file(std::string(50'000, 'x'));
  std::ifstream in{path, std::ios::binary};
  std::string content{std::istreambuf_iterator<char>{in}, {}};
  const std::size_t tokens = content.find(std::string("x\0x\0x\0x\0", 8));
  ASSERT_NE(tokens, std::string::npos);
  content[tokens + 1000] ^= 1;
  EXPECT_THAT(refusal(folder_.write("flipped.h5", content)), HasSubstr("tokens"));
}

// Every write, sync and rename on the way, one after another, is where the process dies or the disk gives up.
TEST_F(TokenFiles, AKillAnywhereLeavesTheOldFileOrTheNew) {
  const auto output = bytes_file("the old text");
  const auto with_new_text = [&] { bytes_file(std::string(200'000, 'n')); };
  bool finished = false;
  for (std::size_t at = 0; !finished; ++at) {
    ASSERT_LT(at, 1000);
    IoScript script{Fault::kill_before, at};
    finished = fate_of_child(script, with_new_text) == "done";
    const std::uint64_t size = TokenFile{output}.size();
    EXPECT_TRUE(size == 200'000 || (size == 12 && !finished)) << size << " tokens after a kill at call " << at;
    if (!finished && size != 12) bytes_file("the old text");
  }
}

TEST_F(TokenFiles, AFullDiskKeepsTheOldFileAndLeavesNothing) {
  const auto output = bytes_file("the old text");
  for (std::size_t at = 0;; ++at) {
    ASSERT_LT(at, 1000);
    IoScript script{Fault::full_disk, at};
    const WithFaults on{script};
    try {
      bytes_file(std::string(200'000, 'n'));
      break;
    } catch (const Error& error) {
      EXPECT_EQ(error.exit(), Exit::storage);
    }
    EXPECT_FALSE(std::filesystem::exists(output.string() + ".partial"));
    EXPECT_EQ(TokenFile{output}.size(), 12);
  }
}

class Streams : public ::testing::TestWithParam<const char*> {};

TEST_P(Streams, GiveTheIdsOfTheWholeTextForAnyPieces) {
  BpeDefinition definition = usual_bpe();
  definition.rule = GetParam();
  BpeTokenizer tokenizer{definition, "test"};
  std::mt19937 random{11};
  for (const Texture texture : textures)
    for (const std::size_t piece : {1u, 7u, 64u, 5000u}) {
      const std::string text = random_text(random, texture, 1500);
      std::vector<Token> tokens;
      StreamEncoder encoder{
          tokenizer, [&](std::span<const Token> more) { tokens.insert(tokens.end(), more.begin(), more.end()); }};
      for (std::size_t at = 0; at < text.size(); at += piece) encoder.add(std::string_view{text}.substr(at, piece));
      encoder.finish();
      EXPECT_EQ(tokens, tokenizer.encode(text)) << "in pieces of " << piece;
    }
}

INSTANTIATE_TEST_SUITE_P(Rules, Streams, ::testing::Values("gpt2", "llama3"));

TEST_F(TokenFiles, TextThatCannotBeTokenizedLeavesNothing) {
  ByteTokenizer tokenizer;
  const auto output = folder_.path() / "tokens.h5";
  const auto message = [&](const std::vector<std::filesystem::path>& inputs, const std::filesystem::path& to) {
    try {
      tokenize_files(tokenizer, inputs, to);
    } catch (const Error& error) {
      EXPECT_EQ(error.exit(), Exit::data);
      EXPECT_FALSE(std::filesystem::exists(output));
      EXPECT_FALSE(std::filesystem::exists(output.string() + ".partial"));
      return std::string{error.what()};
    }
    return std::string{"it worked"};
  };
  const auto text = folder_.write("text.txt", "text"), empty = folder_.write("empty.txt", "");
  EXPECT_THAT(message({text, folder_.path() / "absent.txt"}, output), HasSubstr("absent.txt: there is no such text"));
  EXPECT_THAT(message({folder_.path()}, output), HasSubstr("a folder"));
  EXPECT_THAT(message({empty}, output), HasSubstr("no text"));
  EXPECT_THAT(message({}, output), HasSubstr("no text"));
  EXPECT_THAT(message({text}, text), HasSubstr("overwritten"));
  EXPECT_EQ(std::filesystem::file_size(text), 4);
}

}  // namespace
}  // namespace tranche::testing
