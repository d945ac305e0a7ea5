#include "compress/low_rank.h"

#include <algorithm>

#include "runtime/base/error.h"

namespace tranche::compress {
namespace {

const std::string weight_end = ".weight", left_end = ".left.weight", right_end = ".right.weight";

std::string without(const std::string& name, const std::string& end) {
  return name.substr(0, name.size() - end.size());
}

LinearRanks ranks_for(const Decompositions& linears, double energy) {
  LinearRanks ranks;
  for (const auto& [name, svd] : linears) ranks[name] = svd.rank_for(energy);
  return ranks;
}

// Elements that the linears take with these ranks.
std::size_t size_with(const LinearRanks& ranks, const Decompositions& linears) {
  std::size_t size = 0;
  for (const auto& [name, svd] : linears) size += std::min(factored_size(svd.shape, ranks.at(name)), svd.shape.size());
  return size;
}

// The greatest energy whose model has at most a part `wanted` of its parameters, to the last bit of a bisection.
LinearRanks ranks_for_size(const Decompositions& linears, double wanted, std::size_t parameters) {
  std::size_t whole = 0;
  for (const auto& [name, svd] : linears) whole += svd.shape.size();
  const auto part_with = [&](const LinearRanks& ranks) {
    return static_cast<double>(parameters - whole + size_with(ranks, linears)) / static_cast<double>(parameters);
  };
  double low = 0, high = 1;
  const double least = part_with(ranks_for(linears, low));
  ensure(Exit::usage, least <= wanted, "--size ", wanted, ": with rank 1 everywhere the model still has ", least,
         " of its parameters");
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (part_with(ranks_for(linears, middle)) <= wanted ? low : high) = middle;
  }
  return ranks_for(linears, low);
}

}  // namespace

std::size_t factored_size(const Shape& shape, std::size_t rank) { return rank * (shape.rows() + shape.cols()); }

Decompositions decompose(const std::deque<Unit>& units, const UnitReader& values_of, const Modules& modules,
                         const Decomposing& decomposed) {
  Decompositions linears;
  for (const Unit& unit : units) {
    if (unit.name() == "embedding" || unit.name() == "head") continue;
    const UnitValues flat = values_of(unit);
    for (const Parameter* each : unit.parameters())
      if (modules.contain(*each))
        linears[without(each->name, weight_end)] =
            decomposed(each->name, each->shape, flat.values.subspan(each->offset, each->shape.size()));
  }
  ensure(Exit::usage, !linears.empty(), "--modules: no linear of the model is in ", modules.patterns.front(),
         "; names look like blocks.0.mlp.up");
  return linears;
}

LinearRanks choose_ranks(const Decompositions& linears, const RankChoice& choice, std::size_t parameters) {
  LinearRanks ranks;
  if (choice.size)
    ranks = ranks_for_size(linears, *choice.size, parameters);
  else if (choice.energy)
    ranks = ranks_for(linears, *choice.energy);
  else
    for (const auto& [name, svd] : linears) ranks[name] = std::min(choice.rank.value_or(1), svd.values.size());
  std::erase_if(ranks, [&](const auto& each) {
    const Shape& shape = linears.at(each.first).shape;
    return factored_size(shape, each.second) >= shape.size();
  });
  ensure(Exit::usage, !ranks.empty(), "no linear becomes smaller: choose a lower rank, energy or size");
  return ranks;
}

std::vector<float> factored_values(const Parameter& parameter, const Decompositions& linears, const LinearRanks& ranks,
                                   const std::function<std::span<const float>(const std::string&)>& whole) {
  for (const auto& [end, is_left] : {std::pair{left_end, true}, std::pair{right_end, false}}) {
    if (!parameter.name.ends_with(end)) continue;
    const std::string name = without(parameter.name, end);
    const auto rank = ranks.find(name);
    if (rank == ranks.end()) continue;
    const SingularValues& svd = linears.at(name);
    return is_left ? svd.left_of(rank->second) : svd.right_of(rank->second);
  }
  const std::span<const float> values = whole(parameter.name);
  return {values.begin(), values.end()};
}

}  // namespace tranche::compress
