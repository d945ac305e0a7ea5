// The singular value decomposition of a weight, and what a few of its values keep.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "runtime/base/shape.h"

namespace tranche::compress {

// weight = left right, of k = min(out, in) columns and rows; column i of left and row i of right have the root of the
// i-th singular value each, so both factors of a weight are of one size.
struct SingularValues {
  Shape shape;                 // (out, in)
  std::vector<double> values;  // falling, k
  std::vector<double> left;    // (out, k)
  std::vector<double> right;   // (k, in)

  // The factors of the first `rank`: (out, rank) and (rank, in). By Eckart and Young 1936 no others of that rank have a
  // smaller squared error, of the weight or, of singular_values_of_outputs, of what it gives.
  std::vector<float> left_of(std::size_t rank) const;
  std::vector<float> right_of(std::size_t rank) const;
  // Which part of the sum of squares, of all elements or of all outputs, the first `rank` keep, 0 to 1.
  double energy_of(std::size_t rank) const;
  // The least rank, at least 1, that keeps that part.
  std::size_t rank_for(double energy) const;
};

// In double precision, by LAPACK's dgesdd. weight: (out, in). Throws Exit::numerics, naming it, for a value that is not
// finite, or if the iteration does not converge.
SingularValues singular_values(const std::string& name, const Shape& shape, std::span<const float> weight);

// Those of weight L, where L L^T is the sum of x x^T over the inputs x of calibration: what a rank leaves out of that
// is what it leaves out of the outputs, so left right, which is the weight still, is cut where the outputs lose least
// (Wang et al. 2024, SVD-LLM, section 3.1). products: of the inputs, as compress/second_order.h has them, (in, in).
// Throws as singular_values does, and as root_of.
SingularValues singular_values_of_outputs(const std::string& name, const Shape& shape, std::span<const float> weight,
                                          const std::vector<double>& products);

}  // namespace tranche::compress
