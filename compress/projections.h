// Learned linears from a student's hidden states to its teacher's width (Romero et al. 2015; Jiao et al. 2020). They
// are trained beside the student, and belong to no model: who evaluates, packs or goes on from the student leaves them.
#pragma once

#include <deque>
#include <string>

#include "compress/hidden_states.h"
#include "runtime/nn/unit.h"

namespace tranche::compress {

// One for each pair of blocks, of a unit of its own, without bias, so divided, updated, saved and counted as any other.
// It is not pruned or quantized. Its units are to be placed behind the model's.
class Projections {
 public:
  Projections(const HiddenStatesConfig& config, std::size_t width, std::size_t width_of_teacher);
  Projections(const Projections&) = delete;
  Projections& operator=(const Projections&) = delete;

  std::deque<Unit>& units() { return units_; }
  // Collective where the parameter store is.  x: (..., width); returns (..., width of the teacher), of x's dtype
  Tensor project(std::size_t pair, const Tensor& x);

 private:
  std::deque<Parameter> weights_;  // (width of the teacher, width)
  std::deque<Unit> units_;
};

}  // namespace tranche::compress
