#include "runtime/models/generate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "runtime/nn/kv_cache.h"
#include "runtime/ops/elementwise.h"

namespace tranche {
namespace {

void check_settings(const Sampling& sampling) {
  ensure(Exit::usage, sampling.temperature >= 0 && std::isfinite(sampling.temperature), "the temperature, ",
         sampling.temperature, ", must be a number of at least 0");
  ensure(Exit::usage, sampling.top_p > 0 && sampling.top_p <= 1, "top-p, ", sampling.top_p,
         ", must be greater than 0 and at most 1");
}

void check_logits(std::span<const float> logits) {
  bool any = false;
  for (std::size_t token = 0; token < logits.size(); ++token) {
    const float logit = logits[token];
    ensure(Exit::numerics, !std::isnan(logit) && logit < INFINITY, "the logit of token ", token, " is ", logit,
           ": the model's parameters or activations are not finite");
    any = any || std::isfinite(logit);
  }
  ensure(Exit::numerics, any, "no token has a finite logit");
}

}  // namespace

std::int32_t choose(std::span<const float> logits, const Sampling& sampling, float number) {
  check_settings(sampling);
  check_logits(logits);
  if (sampling.temperature == 0)
    return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());

  std::vector<std::size_t> order(logits.size());  // of falling probability, then of rising number
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
  if (sampling.top_k > 0) order.resize(std::min(sampling.top_k, order.size()));

  std::vector<double> weights;  // relative to the first's, which is 1
  weights.reserve(order.size());
  const double highest = logits[order.front()];
  for (const std::size_t token : order) weights.push_back(std::exp((logits[token] - highest) / sampling.temperature));
  double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (sampling.top_p < 1) {
    double kept = 0;
    std::size_t count = 0;
    while (count < weights.size() && kept < sampling.top_p * total) kept += weights[count++];
    weights.resize(count);
    total = kept;
  }

  double before = 0;
  for (std::size_t i = 0; i < weights.size(); ++i)
    if (before += weights[i]; number * total < before) return static_cast<std::int32_t>(order[i]);
  return static_cast<std::int32_t>(order[weights.size() - 1]);
}

NextLogits next_logits(Model& model, Device& device) {
  const auto cache = std::make_shared<KeyValueCache>(device, model.config().positions);
  const auto seen = std::make_shared<std::vector<std::int32_t>>();  // what the cache holds
  return [&model, &device, cache, seen](std::span<const std::int32_t> window) {
    const Recording pause{nullptr};
    const Evaluating evaluating{model};
    const bool goes_on = seen->size() < window.size() && std::equal(seen->begin(), seen->end(), window.begin());
    if (!goes_on) {
      cache->clear();
      seen->clear();
    }
    const std::span<const std::int32_t> added = window.subspan(seen->size());
    const Tensor tokens = Tensor::empty(device, "tokens", Category::activations, {1, added.size()}, DType::int32);
    tokens.assign(std::as_bytes(added));
    seen->clear();  // should the forward fail
    const KeyValueCache::Use use{*cache};
    const Tensor logits = model.forward(tokens);  // (1, sequence, vocabulary)
    seen->assign(window.begin(), window.end());
    const std::size_t vocabulary = logits.cols();
    const Tensor last = logits.sibling("last logits", {vocabulary}, DType::float32);
    ops::convert(logits.view(logits.size() - vocabulary, {vocabulary}), last);
    const Tensor read = last.on_host();
    const std::span<const float> values = read.span<float>();
    return std::vector<float>(values.begin(), values.end());
  };
}

double generation_rate(Model& model, Device& device, std::size_t tokens) {
  const NextLogits next = next_logits(model, device);
  std::vector<std::int32_t> text{0};
  next(text);
  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < tokens; ++i) {
    text.push_back(static_cast<std::int32_t>(i % model.config().vocabulary));
    next(text);
  }
  return static_cast<double>(tokens) / std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

std::vector<std::int32_t> generate(std::vector<std::int32_t> prompt, std::size_t count, std::size_t context,
                                   const Sampling& sampling, std::uint64_t sample, const NextLogits& next,
                                   const OnToken& on_token) {
  check_settings(sampling);
  ensure(Exit::usage, !prompt.empty(), "generate: the prompt has no token to begin with");
  const RandomKey key = RandomKey{sampling.seed, Purpose::sampling}(sample);
  std::vector<std::int32_t> tokens = std::move(prompt);
  for (std::size_t i = 0; i < count; ++i) {
    const std::span<const std::int32_t> all = tokens;
    const std::vector<float> logits = next(all.last(std::min(context, all.size())));
    const std::int32_t token = choose(logits, sampling, uniform(key(tokens.size()).number(0)));
    tokens.push_back(token);
    if (on_token && !on_token(token)) break;
  }
  return tokens;
}

}  // namespace tranche
