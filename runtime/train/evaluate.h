// The loss of a model on held-out text.
#pragma once

#include "runtime/comm/communicator.h"
#include "runtime/data/token_file.h"
#include "runtime/models/model.h"
#include "runtime/train/seams.h"

namespace tranche {

struct Evaluation {
  double loss = 0;  // mean over tokens, nats
  std::uint64_t tokens = 0;
};

// The mean loss over the first `samples` windows of the file (0: all), in order, each once, without dropout. They are
// divided over the ranks in micro-batches; the sum is taken in their order, so its bits do not depend on how many ranks
// there are. Collective. Throws Exit::data if the file is shorter than one window.
Evaluation evaluate(Model& model, const Objective& objective, const TokenFile& file, std::size_t micro_batch_size,
                    std::size_t sequence_length, std::uint64_t samples, Communicator& world, Device& device);

}  // namespace tranche
