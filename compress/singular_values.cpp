#include "compress/singular_values.h"

#include <lapacke.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "compress/observer.h"
#include "compress/second_order.h"
#include "runtime/base/error.h"

namespace tranche::compress {
namespace {

// Sums of squares of the values from each on: tails[i] = values[i]^2 + values[i + 1]^2 + ..., the smallest first.
std::vector<double> tails_of(const std::vector<double>& values) {
  std::vector<double> tails(values.size() + 1);
  for (std::size_t i = values.size(); i-- > 0;) tails[i] = tails[i + 1] + values[i] * values[i];
  return tails;
}

lapack_int size_of(const std::string& name, std::size_t size) {
  ensure(Exit::usage, size <= static_cast<std::size_t>(std::numeric_limits<lapack_int>::max()), name, " has a side of ",
         size, " elements, more than LAPACK takes");
  return static_cast<lapack_int>(size);
}

// Of a matrix, which is overwritten.
SingularValues decomposed(const std::string& name, const Shape& shape, std::vector<double> matrix) {
  const std::size_t out = shape.rows(), in = shape.cols(), k = std::min(out, in);
  SingularValues svd{shape, std::vector<double>(k), std::vector<double>(out * k), std::vector<double>(k * in)};
  const lapack_int rows = size_of(name, out), cols = size_of(name, in), inner = size_of(name, k);
  const lapack_int info = LAPACKE_dgesdd(LAPACK_ROW_MAJOR, 'S', rows, cols, matrix.data(), cols, svd.values.data(),
                                         svd.left.data(), inner, svd.right.data(), cols);
  ensure(Exit::numerics, info == 0, name, ": LAPACK's dgesdd ended with ", info,
         info > 0 ? ": its iteration did not converge" : "");
  for (std::size_t i = 0; i < k; ++i) {
    const double root = std::sqrt(svd.values[i]);
    for (std::size_t row = 0; row < out; ++row) svd.left[row * k + i] *= root;
    for (std::size_t col = 0; col < in; ++col) svd.right[i * in + col] *= root;
  }
  return svd;
}

std::vector<double> in_double(const std::string& name, const Shape& shape, std::span<const float> weight) {
  check(shape.dimensions() == 2 && weight.size() == shape.size(), name, ": ", weight.size(), " values of shape ",
        shape);
  min_max(weight, ops::QuantizationGrid::per_tensor(weight.size()), name);  // all finite
  return {weight.begin(), weight.end()};
}

// row = row L^-1, L lower.
void take_back(const std::vector<double>& lower, std::span<double> row) {
  const std::size_t n = row.size();
  for (std::size_t k = n; k-- > 0;) {
    row[k] /= lower[k * n + k];
    for (std::size_t col = 0; col < k; ++col) row[col] -= row[k] * lower[k * n + col];
  }
}

}  // namespace

std::vector<float> SingularValues::left_of(std::size_t rank) const {
  const std::size_t k = values.size();
  std::vector<float> factor;
  factor.reserve(shape.rows() * rank);
  for (std::size_t row = 0; row < shape.rows(); ++row)
    for (std::size_t i = 0; i < rank; ++i) factor.push_back(static_cast<float>(left[row * k + i]));
  return factor;
}

std::vector<float> SingularValues::right_of(std::size_t rank) const {
  std::vector<float> factor(rank * shape.cols());
  for (std::size_t i = 0; i < factor.size(); ++i) factor[i] = static_cast<float>(right[i]);
  return factor;
}

double SingularValues::energy_of(std::size_t rank) const {
  const std::vector<double> tails = tails_of(values);
  return tails[0] > 0 ? 1 - tails[rank] / tails[0] : 1;
}

std::size_t SingularValues::rank_for(double energy) const {
  const std::vector<double> tails = tails_of(values);
  std::size_t rank = 1;
  while (rank < values.size() && tails[rank] > (1 - energy) * tails[0]) ++rank;
  return rank;
}

SingularValues singular_values(const std::string& name, const Shape& shape, std::span<const float> weight) {
  const Doing frame{[&] { return "decomposing " + name; }};
  return decomposed(name, shape, in_double(name, shape, weight));
}

SingularValues singular_values_of_outputs(const std::string& name, const Shape& shape, std::span<const float> weight,
                                          const std::vector<double>& products) {
  const Doing frame{[&] { return "decomposing what " + name + " gives"; }};
  const std::size_t in = shape.cols();
  const std::vector<double> root = root_of(name, products, in), whole = in_double(name, shape, weight);
  std::vector<double> seen(whole.size());
  for (std::size_t row = 0; row < shape.rows(); ++row)
    for (std::size_t k = 0; k < in; ++k) {
      const double factor = whole[row * in + k];
      for (std::size_t col = 0; col <= k; ++col) seen[row * in + col] += factor * root[k * in + col];
    }
  SingularValues svd = decomposed(name, shape, std::move(seen));
  for (std::size_t i = 0; i < svd.values.size(); ++i) take_back(root, {svd.right.data() + i * in, in});
  return svd;
}

}  // namespace tranche::compress
