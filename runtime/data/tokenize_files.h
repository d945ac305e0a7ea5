// From text files to a token file, in pieces: neither the text nor its tokens are ever held whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "runtime/data/tokenizer.h"

namespace tranche {

// Encodes one text that arrives in pieces. The ids that `sink` gets, joined, are those of tokenizer.encode(whole text),
// however it was cut into pieces. A piece waits until a place is known at which to cut (see Tokenizer::cut).
class StreamEncoder {
 public:
  using Sink = std::function<void(std::span<const Token>)>;
  StreamEncoder(Tokenizer& tokenizer, Sink sink) : tokenizer_(tokenizer), sink_(std::move(sink)) {}

  void add(std::string_view piece);
  void finish();  // the text ends here; `add` begins another

 private:
  void encode(std::string_view text);

  Tokenizer& tokenizer_;
  Sink sink_;
  std::string waiting_;
  std::size_t worth_cutting_ = 0;  // no place was found in fewer bytes than half of this
  bool begun_ = false;
};

struct TokenizeProgress {
  std::uint64_t bytes_read = 0, bytes_in_all = 0, tokens = 0;
};

// Each input is a document, followed by the end-of-text token where the tokenizer has one. Replaces `output` when all
// is written, and not before. Calls `progress`, if there is one, every few megabytes. Returns the last progress. Throws
// Exit::data for an input that is missing, unreadable or also the output, and for inputs without any text;
// Exit::storage when the disk refuses. Nothing is left behind then.
TokenizeProgress tokenize_files(Tokenizer& tokenizer, std::span<const std::filesystem::path> inputs,
                                const std::filesystem::path& output,
                                const std::function<void(const TokenizeProgress&)>& progress = {});

}  // namespace tranche
