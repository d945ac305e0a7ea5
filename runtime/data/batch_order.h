// Which samples a step sees: a function of the seed and of the sample's number in the whole run. It knows no ranks, so
// any deal of micro-batches over ranks sees the same samples, and a resumed run needs the step number alone.
//
// Sample s of a token file is the window of sequence_length + 1 tokens that begins at token s * sequence_length.
// Windows do not overlap but for one token: the last target of one is the first input of the next. Tokens behind the
// last whole window are not used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/data/token_file.h"

namespace tranche {

// Whole windows in the file. Throws Exit::data if it is shorter than one.
std::uint64_t count_samples(const TokenFile& file, std::size_t sequence_length);

// For training. Samples are numbered through the run; number g is in epoch g / samples, in a place that the epoch's
// permutation gives. Every epoch sees each sample once; a micro-batch may end one epoch and begin the next. Immutable.
class BatchOrder {
 public:
  // All at least 1.
  BatchOrder(std::uint64_t samples, std::size_t micro_batch_size, std::size_t micro_batches_per_step,
             std::uint64_t seed);

  // micro_batch counts within the step, from 0, over all ranks.
  std::vector<std::uint64_t> samples_of(std::uint64_t step, std::size_t micro_batch) const;

  // Epochs that are over when `step` begins, with the fraction of the one under way.
  double epochs_before(std::uint64_t step) const;

 private:
  std::uint64_t samples_;
  std::size_t micro_batch_size_, micro_batches_;
  std::uint64_t seed_;
};

// For validation: every sample once, in the file's order. The last micro-batch may be smaller.
class SequentialOrder {
 public:
  SequentialOrder(std::uint64_t samples, std::size_t micro_batch_size);

  std::uint64_t micro_batches() const { return (samples_ + micro_batch_size_ - 1) / micro_batch_size_; }
  std::vector<std::uint64_t> samples_of(std::uint64_t micro_batch) const;

 private:
  std::uint64_t samples_;
  std::size_t micro_batch_size_;
};

// Fills inputs and targets, both (samples, sequence_length), row by row; a target is the token behind its input.
void read_micro_batch(const TokenFile& file, const std::vector<std::uint64_t>& samples, std::size_t sequence_length,
                      std::span<Token> inputs, std::span<Token> targets);

}  // namespace tranche
