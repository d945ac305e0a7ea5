#include "runtime/data/token_file.h"

#include <algorithm>
#include <bit>

#include "runtime/base/error.h"
#include "runtime/base/json.h"
#include "runtime/hdf5/kind.h"

namespace tranche {
namespace {

constexpr hdf5::FileKind kind{
    .format = "tranche tokens", .version = 1, .name = "token file", .maker = "tranche tokenize", .exit = Exit::data};

// A sample read at random loads and checks one or two chunks: small enough for that, large enough for a small index.
constexpr std::uint64_t tokens_in_chunk = 32768;

hdf5::Type type_for(std::size_t vocabulary_size) {
  return vocabulary_size <= 65536 ? hdf5::Type::uint16 : hdf5::Type::int32;
}

void store(hdf5::File& file, const std::string& name, const std::string& bytes) {
  if (bytes.empty()) return;
  const auto* const first = reinterpret_cast<const std::uint8_t*>(bytes.data());
  file.create_dataset(name, hdf5::Type::uint8, {bytes.size()}).write<std::uint8_t>(0, {first, bytes.size()});
}

}  // namespace

TokenFileWriter::TokenFileWriter(const std::filesystem::path& path, const Tokenizer& tokenizer)
    : path_(path),
      partial_(path.string() + ".partial"),
      vocabulary_size_(tokenizer.vocabulary_size()),
      file_(hdf5::File::create(partial_)),
      tokens_(file_.create_appendable("tokens", type_for(vocabulary_size_), tokens_in_chunk)),
      documents_(file_.create_appendable("documents", hdf5::Type::uint64, 1024)) {
  file_.set_attribute("tokenizer", tokenizer.identity().kind);
  file_.set_attribute("tokenizer_sha256", tokenizer.identity().sha256);
  file_.set_attribute("vocabulary_size", static_cast<std::int64_t>(vocabulary_size_));
  store(file_, "tokenizer", tokenizer.definition().bytes);
}

TokenFileWriter::~TokenFileWriter() {
  std::error_code ignored;
  if (!finished_) std::filesystem::remove(partial_, ignored);
}

void TokenFileWriter::begin_document() { documents_.append<std::uint64_t>(std::span{&std::as_const(size_), 1}); }

void TokenFileWriter::append(std::span<const Token> tokens) {
  static_assert(std::endian::native == std::endian::little, "tokens_sha256 is of little-endian ids");
  for (const Token token : tokens)
    check(token >= 0 && static_cast<std::size_t>(token) < vocabulary_size_, "the tokenizer gave the id ", token,
          " with a vocabulary of ", vocabulary_size_);
  if (tokens_.type() == hdf5::Type::uint16)
    tokens_.append<std::uint16_t>(std::vector<std::uint16_t>(tokens.begin(), tokens.end()));
  else
    tokens_.append<std::int32_t>(tokens);
  digest_.add(std::as_bytes(tokens));
  size_ += tokens.size();
}

void TokenFileWriter::finish(const std::vector<std::string>& sources) {
  store(file_, "sources", Json(sources).dump(-1, ' ', false, Json::error_handler_t::replace));
  file_.set_attribute("tokens", static_cast<std::int64_t>(size_));
  file_.set_attribute("tokens_sha256", digest_.hex());
  hdf5::finish_file(file_, kind, partial_, path_);
  finished_ = true;
}

TokenFile::TokenFile(const std::filesystem::path& path)
    : path_(path),
      file_(hdf5::open_file(path, kind)),
      tokens_(file_.dataset("tokens")),
      size_(tokens_.size()),
      tokenizer_{file_.text_attribute("tokenizer"), file_.text_attribute("tokenizer_sha256"),
                 static_cast<std::size_t>(file_.integer_attribute("vocabulary_size"))},
      sha256_(file_.text_attribute("tokens_sha256")) {
  const std::int64_t promised = file_.integer_attribute("tokens");
  ensure(Exit::data, std::cmp_equal(promised, size_), path.string(), ": it holds ", size_, " tokens and should hold ",
         promised);
  ensure(Exit::data, tokens_.type() == type_for(tokenizer_.vocabulary_size), path.string(), ": its tokens are ",
         hdf5::name_of(tokens_.type()), ", a vocabulary of ", tokenizer_.vocabulary_size, " has ",
         hdf5::name_of(type_for(tokenizer_.vocabulary_size)));
  ensure(Exit::data, size_ > 0, path.string(), ": there are no tokens in it");
}

void TokenFile::read(std::uint64_t first, std::span<Token> tokens) const {
  check(first <= size_ && tokens.size() <= size_ - first, path_.string(), ": tokens ", first, " to ",
        first + tokens.size(), " of ", size_, " were asked for");
  if (tokens_.type() == hdf5::Type::uint16) {
    std::vector<std::uint16_t> narrow(tokens.size());
    tokens_.read<std::uint16_t>(first, narrow);
    std::ranges::copy(narrow, tokens.begin());
  } else {
    tokens_.read<std::int32_t>(first, tokens);
  }
  for (const Token token : tokens)
    ensure(Exit::data, token >= 0 && static_cast<std::size_t>(token) < tokenizer_.vocabulary_size, path_.string(),
           ": the id ", token, " is not in the vocabulary of ", tokenizer_.vocabulary_size);
}

std::string TokenFile::bytes_of(const std::string& dataset) const {
  if (!file_.has_dataset(dataset)) return "";
  const hdf5::Dataset stored = file_.dataset(dataset);
  std::string bytes(stored.size(), '\0');
  stored.read<std::uint8_t>(0, {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
  return bytes;
}

TokenizerDefinition TokenFile::tokenizer_definition() const { return {tokenizer_.kind, bytes_of("tokenizer")}; }

std::vector<std::uint64_t> TokenFile::documents() const {
  const hdf5::Dataset stored = file_.dataset("documents");
  std::vector<std::uint64_t> first(stored.size());
  stored.read<std::uint64_t>(0, first);
  return first;
}

std::vector<std::string> TokenFile::sources() const {
  std::vector<std::string> names;
  for (const Json& name : parse_json(bytes_of("sources"), path_.string() + ": sources", Exit::data))
    names.push_back(json_as<std::string>(name).value_or("?"));
  return names;
}

}  // namespace tranche
