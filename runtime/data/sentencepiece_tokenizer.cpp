#include "runtime/data/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include <algorithm>

#include "runtime/base/error.h"
#include "runtime/base/log.h"

namespace tranche {
namespace {

// A second normalizer_spec {add_dummy_prefix: false} behind the model's own: protocol buffers merge the two
// (ModelProto field 3, NormalizerSpec field 3 of sentencepiece_model.proto).
constexpr std::string_view without_dummy_prefix{"\x1A\x02\x18\x00", 4};

std::unique_ptr<sentencepiece::SentencePieceProcessor> load(const std::string& model, const std::string& name) {
  auto processor = std::make_unique<sentencepiece::SentencePieceProcessor>();
  ensure(Exit::data, !model.empty(), name, ": this SentencePiece model is empty");
  const auto status = processor->LoadFromSerializedProto(model);
  ensure(Exit::data, status.ok(), name, ": this is not a SentencePiece model: ", status.ToString());
  return processor;
}

bool has_line_breaks(const sentencepiece::SentencePieceProcessor& processor) {
  std::vector<int> ids;
  std::string text;
  return processor.Encode("\n", &ids).ok() && processor.Decode(ids, &text).ok() && text.find('\n') != std::string::npos;
}

// The length of the first line of `text`, with all line breaks that follow it.
std::size_t first_sentence(std::string_view text) {
  const std::size_t end = text.find_first_not_of('\n', std::min(text.find('\n'), text.size()));
  return end == std::string_view::npos ? text.size() : end;
}

}  // namespace

SentencePieceTokenizer::SentencePieceTokenizer(const std::string& model, const std::string& name)
    : SentencePieceTokenizer(model, load(model, name), name) {}

SentencePieceTokenizer::SentencePieceTokenizer(const std::string& model, std::unique_ptr<Processor> processor,
                                               const std::string& name)
    : Tokenizer({kind, model}, static_cast<std::size_t>(processor->GetPieceSize())), processor_(std::move(processor)) {
  if (has_line_breaks(*processor_))
    continuing_ = load(model + std::string{without_dummy_prefix}, name);
  else
    log::warning(str(name,
                     ": this SentencePiece model has no token for a line break; lines are encoded one by one, and "
                     "decoding does not separate them"));
}

SentencePieceTokenizer::~SentencePieceTokenizer() = default;

void SentencePieceTokenizer::append(std::string_view sentence, const Processor& processor,
                                    std::vector<Token>& tokens) const {
  std::vector<int> ids;
  const auto status = processor.Encode(absl::string_view{sentence.data(), sentence.size()}, &ids);
  ensure(Exit::data, status.ok(), "SentencePiece cannot encode \"", sentence.substr(0, 60), "\": ", status.ToString());
  tokens.insert(tokens.end(), ids.begin(), ids.end());
}

std::vector<Token> SentencePieceTokenizer::encode(std::string_view text) {
  std::vector<Token> tokens;
  if (!continuing_) return encode_continued(text);
  const std::size_t first = first_sentence(text);
  append(text.substr(0, first), *processor_, tokens);
  const std::vector<Token> rest = encode_continued(text.substr(first));
  tokens.insert(tokens.end(), rest.begin(), rest.end());
  return tokens;
}

std::vector<Token> SentencePieceTokenizer::encode_continued(std::string_view text) {
  std::vector<Token> tokens;
  while (!text.empty()) {
    const std::size_t length = first_sentence(text);
    append(text.substr(0, length), continuing_ ? *continuing_ : *processor_, tokens);
    text.remove_prefix(length);
  }
  return tokens;
}

std::size_t SentencePieceTokenizer::cut(std::string_view text) const {
  // Before the last character that follows a line break and is none itself.
  for (std::size_t at = text.size(); at-- > 1;)
    if (text[at] != '\n' && text[at - 1] == '\n') return at;
  return 0;
}

std::string SentencePieceTokenizer::decode(std::span<const Token> tokens) const {
  check_range(tokens);
  std::string text;
  const auto status = processor_->Decode(std::vector<int>{tokens.begin(), tokens.end()}, &text);
  ensure(Exit::data, status.ok(), "SentencePiece cannot decode: ", status.ToString());
  return text;
}

std::optional<Token> SentencePieceTokenizer::end_of_text() const {
  const int id = processor_->eos_id();
  return id < 0 ? std::nullopt : std::optional<Token>{id};
}

}  // namespace tranche
