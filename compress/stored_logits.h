// Teachers' logits, stored once: one HDF5 file, from which students train without their teachers.
//
//   /values    the greatest logits of each token, in the order of their classes, in the dtype in which the teachers
//              computed: (tokens, kept)
//   /classes   uint16 where the vocabulary fits, else uint32: which these are, rising in each row; absent where all are
//              kept
//   /rest      float32, (tokens): the logarithm of the mean of the exponentials of all other logits; absent then too
//   attributes format "tranche logits", version 1, teacher (the checkpoints' digests), data (tokens_sha256 of the token
//              file), tokenizer (its kind), tokenizer_sha256, vocabulary_size, samples, sequence_length, kept
//
// Every chunk has a checksum (runtime/hdf5/file.h). Row s * sequence_length + i is of token i of sample s
// (runtime/data/batch_order.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/dtype.h"
#include "runtime/data/tokenizer.h"
#include "runtime/hdf5/file.h"
#include "runtime/tensor/tensor.h"

namespace tranche::compress {

// What logits are of.
struct LogitsOrigin {
  std::string teacher;  // digests, with blanks between them
  std::string data;     // TokenFile::sha256
  TokenizerIdentity tokenizer{};
  std::uint64_t samples = 0;
  std::size_t sequence_length = 0, classes = 0;  // classes: the models' vocabulary
};

// Of one sample, or several: the greatest logits of each token.
struct GreatestLogits {
  std::vector<float> values{};           // (tokens, kept)
  std::vector<std::uint32_t> classes{};  // (tokens, kept), rising; empty where all are kept
  std::vector<float> rest{};             // (tokens); empty then too
};
// Of equal logits the first counts as greater.  logits: (..., classes), of any floating dtype; kept: 1 to classes.
// Throws Exit::numerics for one that is not finite.
GreatestLogits greatest_logits(const Tensor& logits, std::size_t kept);

// Writes `path`.partial; finish makes it durable and renames it. Destroyed without it, it removes what it wrote.
class LogitsWriter {
 public:
  // dtype: of the logits. Throws Exit::storage when the disk refuses.
  LogitsWriter(const std::filesystem::path& path, const LogitsOrigin& origin, DType dtype, std::size_t kept);
  ~LogitsWriter();
  LogitsWriter(const LogitsWriter&) = delete;
  LogitsWriter& operator=(const LogitsWriter&) = delete;

  // The next samples' (some or one).
  void append(const GreatestLogits& logits);
  void finish();  // when all samples are there; returns when it is durable

 private:
  std::filesystem::path path_, partial_;
  LogitsOrigin origin_;
  std::size_t kept_;
  hdf5::File file_;
  hdf5::Dataset values_;
  std::optional<hdf5::Dataset> classes_, rest_;
  std::uint64_t rows_ = 0;
  bool finished_ = false;
};

// A finished file, open to read; only what is asked for is loaded. Throws Exit::data, naming the file and what is
// wrong: none of these, of another version, truncated, damaged (which may show only when the damaged part is read).
class StoredLogits {
 public:
  explicit StoredLogits(const std::filesystem::path& path);

  const LogitsOrigin& origin() const { return origin_; }
  std::size_t kept() const { return kept_; }
  // What a student's checkpoint remembers of its teacher: where all logits are kept, what it would of the teacher
  // itself.
  std::string identity() const;
  // Throws Exit::data if they are of another vocabulary, length of samples, or other tokens (`data` "": of any).
  void check(std::size_t classes, std::size_t sequence_length, const std::string& data) const;

  // Token `token` of a sample, for all classes: those that were not kept have `rest`.  into: (classes)
  class Sample {
   public:
    void row(std::size_t token, std::span<float> into) const;

   private:
    friend class StoredLogits;
    GreatestLogits logits_;
    std::size_t kept_ = 0;
  };
  Sample read(std::uint64_t sample) const;

 private:
  std::filesystem::path path_;
  hdf5::File file_;
  hdf5::Dataset values_;
  std::optional<hdf5::Dataset> classes_, rest_;
  LogitsOrigin origin_;
  std::size_t kept_ = 0;
};

}  // namespace tranche::compress
