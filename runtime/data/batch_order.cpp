#include "runtime/data/batch_order.h"

#include <algorithm>

#include "runtime/base/error.h"
#include "runtime/base/random.h"
#include "runtime/data/permutation.h"

namespace tranche {

std::uint64_t count_samples(const TokenFile& file, std::size_t sequence_length) {
  check(sequence_length >= 1, "a sequence length of 0");
  const std::uint64_t samples = (file.size() - 1) / sequence_length;
  ensure(Exit::data, samples >= 1, file.path().string(), ": ", file.size(),
         " tokens are fewer than one sequence needs (", sequence_length,
         " and one more); take more text or a smaller sequence_length");
  return samples;
}

BatchOrder::BatchOrder(std::uint64_t samples, std::size_t micro_batch_size, std::size_t micro_batches_per_step,
                       std::uint64_t seed)
    : samples_(samples), micro_batch_size_(micro_batch_size), micro_batches_(micro_batches_per_step), seed_(seed) {
  check(samples >= 1 && micro_batch_size >= 1 && micro_batches_per_step >= 1, "batch order: ", samples,
        " samples, micro-batches of ", micro_batch_size, ", ", micro_batches_per_step, " in a step");
}

std::vector<std::uint64_t> BatchOrder::samples_of(std::uint64_t step, std::size_t micro_batch) const {
  check(micro_batch < micro_batches_, "micro-batch ", micro_batch, " of a step of ", micro_batches_);
  const std::uint64_t first = (step * micro_batches_ + micro_batch) * micro_batch_size_;
  std::vector<std::uint64_t> chosen;
  for (std::uint64_t number = first; number < first + micro_batch_size_; ++number) {
    const Permutation shuffle{samples_, RandomKey{seed_, Purpose::order}(number / samples_)};
    chosen.push_back(shuffle(number % samples_));
  }
  return chosen;
}

double BatchOrder::epochs_before(std::uint64_t step) const {
  return static_cast<double>(step * micro_batches_ * micro_batch_size_) / static_cast<double>(samples_);
}

SequentialOrder::SequentialOrder(std::uint64_t samples, std::size_t micro_batch_size)
    : samples_(samples), micro_batch_size_(micro_batch_size) {
  check(samples >= 1 && micro_batch_size >= 1, "sequential order: ", samples, " samples, micro-batches of ",
        micro_batch_size);
}

std::vector<std::uint64_t> SequentialOrder::samples_of(std::uint64_t micro_batch) const {
  check(micro_batch < micro_batches(), "micro-batch ", micro_batch, " of ", micro_batches());
  const std::uint64_t first = micro_batch * micro_batch_size_;
  std::vector<std::uint64_t> chosen;
  for (std::uint64_t sample = first; sample < std::min(first + micro_batch_size_, samples_); ++sample)
    chosen.push_back(sample);
  return chosen;
}

void read_micro_batch(const TokenFile& file, const std::vector<std::uint64_t>& samples, std::size_t sequence_length,
                      std::span<Token> inputs, std::span<Token> targets) {
  check(inputs.size() == samples.size() * sequence_length && targets.size() == inputs.size(), "a micro-batch of ",
        samples.size(), " samples of ", sequence_length, " tokens is not ", inputs.size(), " inputs and ",
        targets.size(), " targets");
  for (std::size_t row = 0; row < samples.size(); ++row) {
    const Doing frame{[&] { return str("reading sample ", samples[row], " of ", file.path().string()); }};
    const std::uint64_t first = samples[row] * sequence_length;
    const std::span<Token> input = inputs.subspan(row * sequence_length, sequence_length);
    const std::span<Token> target = targets.subspan(row * sequence_length, sequence_length);
    file.read(first, input);
    std::copy(input.begin() + 1, input.end(), target.begin());
    file.read(first + sequence_length, target.last(1));
  }
}

}  // namespace tranche
