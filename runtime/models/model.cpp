#include "runtime/models/model.h"

#include <set>

#include "runtime/autograd/functions.h"
#include "runtime/models/gpt2.h"
#include "runtime/models/llama.h"
#include "runtime/nn/kv_cache.h"
#include "runtime/nn/tap.h"

namespace tranche {

Tensor Model::forward(const Tensor& tokens) {
  Taps none;
  return forward(tokens, none);
}

Tensor Model::forward(const Tensor& tokens, Taps& taps) {
  check(tokens.shape().dimensions() == 2, "model: tokens have shape ", tokens.shape(), ", expected (batch, sequence)");
  const std::size_t sequence = KeyValueCache::held() + tokens.shape()[1];
  ensure(Exit::job_file, sequence <= config_.positions, "a sequence of ", sequence,
         " tokens is longer than the model's ", config_.positions,
         " positions: shorten data.sequence_length, or give the model more positions");
  Tensor x = tokens;
  const auto inner = taps.empty() ? nullptr : std::make_shared<InnerTaps>();
  for (const auto& [name, ignored] : taps) inner->ask(name);
  const Tapping tapping{inner};
  for (Unit& unit : units_) {
    x = tranche::forward(unit, x);
    const auto asked = taps.find(unit.name());
    if (asked == taps.end()) continue;
    asked->second = x;
    x = autograd::passed_on(x);
  }
  for (auto& [name, tensor] : taps)
    if (!tensor) tensor = inner->take(name);
  if (KeyValueCache* cache = KeyValueCache::current()) cache->grow(tokens.shape()[1]);
  return x;
}

std::size_t Model::parameters() const {
  std::size_t sum = 0;
  for (const Unit& unit : units_) sum += unit.size();
  return sum;
}

double Model::flops_per_token(std::size_t sequence) const {
  std::size_t multiplied = parameters() - units_.front().size();
  if (config_.tied) multiplied += config_.vocabulary * config_.width;
  std::size_t queries = 0;  // of all layers: what output projections read
  for (const Unit& unit : units_)
    for (const Parameter* each : unit.parameters())
      if (each->features.size() == 2 && each->features[1].kind == FeatureKind::heads) queries += each->shape[1];
  return 6.0 * static_cast<double>(multiplied) + 12.0 * static_cast<double>(queries) * static_cast<double>(sequence);
}

std::optional<Embedding> Model::untied_head(const ModelConfig& config) {
  if (config.tied) return std::nullopt;
  return Embedding{"head", tokens_of(config), config.width, config.deviation};
}

namespace {

// Everything that the configuration names is there.
std::unique_ptr<Model> checked(std::unique_ptr<Model> model, const std::string& where) {
  std::set<std::string> names, features;
  for (const Unit& unit : model->units())
    for (const Parameter* each : unit.parameters()) {
      names.insert(each->name);
      for (const Features& of : each->features) features.insert(of.name);
    }
  for (const auto& [name, count] : model->config().left)
    ensure(Exit::job_file, features.contains(name), where, ": \"pruned_to\" names \"", name,
           "\", but the model has no such features; they are named like \"blocks.0.attention.heads\" and "
           "\"blocks.0.mlp.neurons\"");
  for (const auto& [name, rank] : model->config().ranks)
    ensure(Exit::job_file, names.contains(name + ".left.weight"), where, ": \"low_rank\" names \"", name,
           "\", but the model has no such linear; linears are named like \"blocks.0.mlp.up\"");
  return model;
}

}  // namespace

std::unique_ptr<Model> make_model(const Json& config, const Source& source, const std::string& path,
                                  std::uint64_t seed) {
  const std::string where = str(source.file, path.empty() ? "" : ": ", path);
  const auto type = member<std::string>(config, "model_type", where, Exit::job_file);
  if (type == "gpt2")
    return checked(std::make_unique<Gpt2>(read_config<Gpt2Config>(config, source, path), seed), where);
  if (type == "llama")
    return checked(std::make_unique<Llama>(read_config<LlamaConfig>(config, source, path), seed), where);
  fail(Exit::job_file, str(where, ": \"model_type\" must be \"gpt2\" or \"llama\", found \"", type, '"'));
}

}  // namespace tranche
