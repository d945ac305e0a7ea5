// Storing what teachers say of a job's training data, for students to train from without them.
#pragma once

#include <filesystem>

#include "launcher/assemble.h"
#include "runtime/data/token_file.h"

namespace tranche {

// Collective. The `kept` greatest logits of every sample of `tokens`, by the teachers that `job` names, in
// micro-batches of its shape, which ranks take in turns: the same bytes on any number of ranks. Rank 0 writes. Throws
// what together() throws where the disk refuses or a logit is not finite; then nothing is left behind.
void store_logits(const Job& job, const TokenFile& tokens, std::size_t kept, const std::filesystem::path& output,
                  Communicator& world, const Memory& memory);

}  // namespace tranche
