// A trained model whose linears become products of two smaller ones.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "compress/groups.h"
#include "compress/quantize_weights.h"
#include "compress/singular_values.h"
#include "runtime/nn/linear.h"

namespace tranche::compress {

// One of three.
struct RankChoice {
  std::optional<std::size_t> rank{};  // the same for each linear
  std::optional<double> energy{};     // the part of each weight's sum of squares that is kept, above 0 and at most 1
  std::optional<double> size{};       // the model's parameters, as a part of before, above 0 and below 1: by the
                                      // greatest energy, the same for each linear, that goes
};

// Decompositions of the linears, by name ("blocks.0.mlp.up"). Tables and heads are none. decomposed: what makes one of
// a weight's name, shape and values.
using Decompositions = std::map<std::string, SingularValues>;
using Decomposing = std::function<SingularValues(const std::string&, const Shape&, std::span<const float>)>;
Decompositions decompose(const std::deque<Unit>& units, const UnitReader& values_of, const Modules& modules,
                         const Decomposing& decomposed);

// What two factors of a linear take, in elements.
std::size_t factored_size(const Shape& shape, std::size_t rank);

// Those that become smaller; a linear whose factors would be as large as it is stays whole. parameters: of the model.
// Throws Exit::usage if no size that small is possible, or nothing would become smaller.
LinearRanks choose_ranks(const Decompositions& linears, const RankChoice& choice, std::size_t parameters);

// The values of one parameter of the factored model: a factor, or what the whole model has under its name.
// whole: by name. Throws Exit::internal for a name that neither has.
std::vector<float> factored_values(const Parameter& parameter, const Decompositions& linears, const LinearRanks& ranks,
                                   const std::function<std::span<const float>(const std::string&)>& whole);

}  // namespace tranche::compress
