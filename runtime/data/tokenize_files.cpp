#include "runtime/data/tokenize_files.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include "runtime/base/error.h"
#include "runtime/data/token_file.h"

namespace tranche {
namespace {

constexpr std::size_t bytes_at_once = 4 << 20;

std::ifstream open_text(const std::filesystem::path& path) {
  std::error_code error;
  ensure(Exit::data, std::filesystem::exists(path, error), path.string(), ": there is no such text file");
  ensure(Exit::data, !std::filesystem::is_directory(path, error), path.string(), ": this is a folder, not a text file");
  std::ifstream file{path, std::ios::binary};
  ensure(Exit::data, file.is_open(), path.string(), ": cannot be opened: ", std::strerror(errno));
  return file;
}

// A pipe has no size: 0.
std::uint64_t bytes_of(const std::filesystem::path& path) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  return error ? 0 : size;
}

}  // namespace

void StreamEncoder::add(std::string_view piece) {
  waiting_ += piece;
  if (waiting_.size() < worth_cutting_) return;
  const std::size_t end = tokenizer_.cut(waiting_);
  worth_cutting_ = end == 0 ? 2 * waiting_.size() : 0;  // a text without a place to cut is searched log n times, not n
  if (end == 0) return;
  encode(std::string_view{waiting_}.substr(0, end));
  waiting_.erase(0, end);
}

void StreamEncoder::finish() {
  if (!waiting_.empty()) encode(waiting_);
  waiting_.clear();
  worth_cutting_ = 0;
  begun_ = false;
}

void StreamEncoder::encode(std::string_view text) {
  sink_(begun_ ? tokenizer_.encode_continued(text) : tokenizer_.encode(text));
  begun_ = true;
}

TokenizeProgress tokenize_files(Tokenizer& tokenizer, std::span<const std::filesystem::path> inputs,
                                const std::filesystem::path& output,
                                const std::function<void(const TokenizeProgress&)>& progress) {
  TokenizeProgress so_far;
  std::vector<std::string> sources;
  for (const std::filesystem::path& input : inputs) {  // all are looked at before anything is written
    open_text(input);
    std::error_code error;
    ensure(Exit::data, !std::filesystem::equivalent(input, output, error), input.string(),
           ": this text would be overwritten by its own tokens");
    so_far.bytes_in_all += bytes_of(input);
    sources.push_back(input.string());
  }

  TokenFileWriter writer{output, tokenizer};
  StreamEncoder encoder{tokenizer, [&](std::span<const Token> tokens) { writer.append(tokens); }};
  std::string piece;
  for (const std::filesystem::path& input : inputs) {
    const Doing frame{[&] { return str("tokenizing ", input.string()); }};
    std::ifstream file = open_text(input);
    writer.begin_document();
    while (file) {
      piece.resize(bytes_at_once);
      file.read(piece.data(), static_cast<std::streamsize>(piece.size()));
      piece.resize(static_cast<std::size_t>(file.gcount()));
      encoder.add(piece);
      so_far.bytes_read += piece.size();
      so_far.tokens = writer.size();
      if (progress) progress(so_far);
    }
    ensure(Exit::data, file.eof() && !file.bad(), input.string(), ": cannot be read");
    encoder.finish();
    if (const std::optional<Token> end = tokenizer.end_of_text()) writer.append(std::span{&*end, 1});
  }
  ensure(Exit::data, so_far.bytes_read > 0 && writer.size() > 0, "there is no text in ",
         inputs.empty() ? std::string{"no files"} : inputs[0].string(), inputs.size() > 1 ? " and the others" : "");
  writer.finish(sources);
  so_far.tokens = writer.size();
  if (progress) progress(so_far);
  return so_far;
}

}  // namespace tranche
