// Structured pruning: heads, neurons and whole blocks that leave a model, which is physically smaller then. What must
// go together is read from what parameters say of their dimensions (runtime/nn/features.h).
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/models/config.h"
#include "runtime/nn/unit.h"

namespace tranche::compress {

// One dimension of one parameter: 0 rows, 1 columns.
struct Place {
  const Parameter* parameter = nullptr;
  std::size_t dimension = 0;

  const Features& features() const { return parameter->features[dimension]; }
};

// Features, and every place that shrinks with them.
struct Dependents {
  FeatureKind kind = FeatureKind::stream;
  std::size_t count = 0;
  std::vector<Place> places{};  // in the order of units and their parameters
};
using Dependencies = std::map<std::string, Dependents>;  // by the features' name

// Of the whole model, the stream included. Throws Exit::internal if two places have another count of the same features.
Dependencies dependencies_of(const std::deque<Unit>& units);

// Calls see(feature, element) for every element of the parameter, in the order of its values.
template <class See> void for_each_element(const Place& place, See see) {
  const Shape& shape = place.parameter->shape;
  std::vector<std::size_t> feature(shape[place.dimension]);
  std::size_t next = 0;
  for (const Strip& strip : place.features().strips)
    for (std::size_t i = 0; i < place.features().count; ++i)
      for (std::size_t k = 0; k < strip.each; ++k, ++next) feature[strip.first + i * strip.each + k] = i;
  const std::size_t behind = place.dimension + 1 == shape.dimensions() ? 1 : shape.cols();
  for (std::size_t e = 0; e < shape.size(); ++e) see(feature[e / behind % feature.size()], e);
}

// How much each feature matters, by the features' name; blocks under `blocks_name`, by number.
using Scores = std::map<std::string, std::vector<double>>;
inline const std::string blocks_name = "blocks";

// Whether heads and neurons compete within their block, or with those of all blocks.
enum class Scope : std::uint8_t { block, model };

// Which part is left of each kind, above 0 and at most 1; none: all.
struct Parts {
  std::optional<double> heads{}, neurons{}, blocks{};
  Scope scope = Scope::block;
};

// What is left: numbers before the cut, rising.
struct Cut {
  std::vector<std::size_t> blocks{};
  std::map<std::string, std::vector<std::size_t>> features{};  // by name before the cut; all of those it does not name

  // "blocks.1.mlp.up.weight" -> "blocks.3.mlp.up.weight"; other names stay.
  std::string name_before(const std::string& after) const;
  // And back; none if its block is gone.
  std::optional<std::string> name_after(const std::string& before) const;
};

// The highest scores stay, of equal ones the first: of n the nearest whole number to the part of n (halves to even), at
// least one a block.
Cut choose_cut(const Dependencies& dependencies, std::size_t blocks, const Scores& scores, const Parts& parts);

// A parameter's values without what was cut.  values: as `before` has them
std::vector<float> values_left(const Parameter& before, std::span<const float> values, const Cut& cut);

// The configuration of what is left, from the one before. Throws Exit::usage if its blocks cannot go.
Json cut_model(const Json& model, const ModelConfig& config, const Dependencies& dependencies, const Cut& cut);

}  // namespace tranche::compress
