// What the entries along one dimension of a parameter are. Features are known by name, and parameters that name the
// same ones depend on each other: a neuron is a row of the projection up and a column of the projection down, so it is
// there for both or for neither.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace tranche {

enum class FeatureKind : std::uint8_t {
  stream,   // of the residual stream, which all blocks read and write
  heads,    // of attention: the query heads that share keys and values, with those
  neurons,  // of a feed-forward layer
  tokens,   // of the vocabulary
  positions,
  factors,  // between the two halves of a linear that is a product
};

// Feature i lies in each strip at entries first + i * each, `each` of them.
struct Strip {
  std::size_t first = 0, each = 1;
};

struct Features {
  FeatureKind kind = FeatureKind::stream;
  std::string name;  // "blocks.0.mlp.neurons"; one for the whole stream
  std::size_t count = 0;
  std::vector<Strip> strips{{}};  // which together are the whole dimension

  std::size_t entries() const;  // the dimension's size
};

Features stream_of(std::size_t width);

// How many there are left of features, by their name, of those that a model has fewer of than its sizes say.
using FeatureCounts = std::map<std::string, std::size_t>;
// Of `count`. Throws Exit::job_file for fewer than 1 or more than there are.
std::size_t left_of(const FeatureCounts& counts, const std::string& name, std::size_t count);

}  // namespace tranche
