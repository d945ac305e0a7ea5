#include "runtime/train/evaluate.h"

#include <algorithm>

#include "runtime/base/round.h"
#include "runtime/train/batches.h"

namespace tranche {

Evaluation evaluate(Model& model, const Objective& objective, const TokenFile& file, std::size_t micro_batch_size,
                    std::size_t sequence_length, std::uint64_t samples, Communicator& world, Device& device) {
  const Doing frame{[&] { return str("evaluating on ", file.path().string()); }};
  const std::uint64_t all_samples = count_samples(file, sequence_length);
  const SequentialOrder order{samples == 0 ? all_samples : std::min(samples, all_samples), micro_batch_size};
  const std::uint64_t count = order.micro_batches(), ranks = world.size();
  const std::uint64_t rounds = pieces_of(count, ranks);
  model.set_training(false);

  std::vector<double> mine;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    // Every rank visits the units equally often: one without a window of its own computes the last one and drops it.
    const std::uint64_t number = std::min(round * ranks + world.rank(), count - 1);
    const MicroBatch micro = read_tensors(file, order.samples_of(number), sequence_length, number, device);
    mine.push_back(loss_of(model, objective, micro).scalar<float>());
  }
  const std::vector<double> all = world.gather(mine, "validation losses");  // (ranks, rounds)

  Evaluation result;
  double sum = 0;
  for (std::uint64_t number = 0; number < count; ++number) {
    const std::uint64_t tokens = order.samples_of(number).size() * sequence_length;
    sum += all[number % ranks * rounds + number / ranks] * static_cast<double>(tokens);
    result.tokens += tokens;
  }
  result.loss = sum / static_cast<double>(result.tokens);
  return result;
}

}  // namespace tranche
