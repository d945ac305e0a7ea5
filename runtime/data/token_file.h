// A token file: the ids of one or more texts in HDF5, with the tokenizer that made them.
//
//   /tokens      uint16 where the vocabulary fits, else int32; in chunks with checksums
//   /documents   uint64, the first token of each document, rising
//   /tokenizer   uint8, what defines the tokenizer (absent for bytes)
//   /sources     uint8, a JSON list: the names of the texts
//   attributes   format "tranche tokens", version 1, tokenizer (its kind), tokenizer_sha256, vocabulary_size, tokens
//   (how
//                many), tokens_sha256 (of the ids as little-endian int32)
//
// h5py reads it: h5py.File("train.h5")["tokens"][:100].
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/sha256.h"
#include "runtime/data/tokenizer.h"
#include "runtime/hdf5/file.h"

namespace tranche {

// Writes to `path`.partial; `finish` makes that durable and renames it, so that under `path` there is the whole file or
// what was there before. A writer destroyed without it removes what it wrote. One thread at a time.
// Throws Exit::storage when the disk refuses.
class TokenFileWriter {
 public:
  TokenFileWriter(const std::filesystem::path& path, const Tokenizer& tokenizer);
  ~TokenFileWriter();
  TokenFileWriter(const TokenFileWriter&) = delete;
  TokenFileWriter& operator=(const TokenFileWriter&) = delete;

  void begin_document();  // at the next token
  void append(std::span<const Token> tokens);
  void finish(const std::vector<std::string>& sources);
  std::uint64_t size() const { return size_; }

 private:
  std::filesystem::path path_, partial_;
  std::size_t vocabulary_size_;
  hdf5::File file_;
  hdf5::Dataset tokens_, documents_;
  std::uint64_t size_ = 0;
  Sha256 digest_;
  bool finished_ = false;
};

// A finished token file, open to read; only what is asked for is loaded. Any number of processes and threads may read.
// Throws Exit::data, naming the file, where it is no token file, of another version, truncated, empty, or damaged
// (which may show only when the damaged part is read).
class TokenFile {
 public:
  explicit TokenFile(const std::filesystem::path& path);

  std::uint64_t size() const { return size_; }  // tokens, at least 1
  const std::filesystem::path& path() const { return path_; }
  const TokenizerIdentity& tokenizer() const { return tokenizer_; }
  const std::string& sha256() const { return sha256_; }  // of the tokens: what a resumed run compares
  TokenizerDefinition tokenizer_definition() const;      // for make_tokenizer
  std::vector<std::uint64_t> documents() const;
  std::vector<std::string> sources() const;

  // Tokens first .. first + tokens.size() - 1, all in [0, vocabulary size).
  void read(std::uint64_t first, std::span<Token> tokens) const;

 private:
  std::string bytes_of(const std::string& dataset) const;

  std::filesystem::path path_;
  hdf5::File file_;
  hdf5::Dataset tokens_;
  std::uint64_t size_ = 0;
  TokenizerIdentity tokenizer_;
  std::string sha256_;
};

}  // namespace tranche
