// Continuing a text, one token at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "runtime/base/random.h"
#include "runtime/models/model.h"

namespace tranche {

// How a token is chosen. The filters work in this order, as in transformers: temperature, top_k, top_p.
struct Sampling {
  float temperature = 1;  // logits are divided by it; 0 takes the most probable token
  std::size_t top_k = 0;  // of the most probable tokens; 0: of all
  float top_p = 1;        // of the fewest tokens whose probabilities reach this sum (Holtzman et al. 2020)
  std::uint64_t seed = 0;
};

// The token that these settings choose; of equal logits the first token's counts as greater.
// logits: (vocabulary), finite or -infinity. number: uniform in [0, 1), decides. Throws Exit::usage for settings out of
// range (temperature >= 0, 0 < top_p <= 1), Exit::numerics if a logit is NaN or infinite, or none is finite.
std::int32_t choose(std::span<const float> logits, const Sampling& sampling, float number);

// The logits that follow a window of tokens: (sequence) to (vocabulary).
using NextLogits = std::function<std::vector<float>(std::span<const std::int32_t>)>;

// The next logits of a model, without a tape. A window that only goes on from the one before costs its new tokens; any
// other one is computed whole. Collective where the parameter store is: then every rank calls it with the same tokens.
// Switches dropout off for the call.
NextLogits next_logits(Model& model, Device& device);

// Called with each token as soon as it is chosen; false ends the text.
using OnToken = std::function<bool(std::int32_t)>;

// `prompt` (at least one token) and up to `count` more. next sees the last `context` tokens at most. The token at
// position p of sample s is chosen with number 0 of the stream (seed, sampling, s, p): a sample does not depend on the
// others.
std::vector<std::int32_t> generate(std::vector<std::int32_t> prompt, std::size_t count, std::size_t context,
                                   const Sampling& sampling, std::uint64_t sample, const NextLogits& next,
                                   const OnToken& on_token = {});

// How fast one text grows: tokens a second, over so many behind the first, which is work of another kind. tokens: 1 to
// the model's positions - 1. Collective as next_logits is.
double generation_rate(Model& model, Device& device, std::size_t tokens);

}  // namespace tranche
