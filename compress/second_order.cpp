#include "compress/second_order.h"

#include <lapacke.h>

#include <algorithm>
#include <cmath>

#include "compress/observer.h"
#include "runtime/base/error.h"

namespace tranche::compress {
namespace {

constexpr double damping = 0.01;  // of the diagonal's mean

void add_products(std::span<const float> x, std::size_t in, std::vector<double>& products) {
  for (std::size_t token = 0; token < x.size(); token += in)
    for (std::size_t row = 0; row < in; ++row) {
      const double factor = double{x[token + row]};
      double* sums = products.data() + row * in;
      for (std::size_t col = 0; col <= row; ++col) sums[col] += factor * double{x[token + col]};
    }
}

void done(lapack_int info, const std::string& name, const char* routine) {
  ensure(Exit::numerics, info == 0, name, ": LAPACK's ", routine, " ended with ", info,
         ": the inputs of calibration say too little; give --samples a larger number");
}

// U of the inverse, U^T U = H^-1: row i of U is what column i's error does to the columns behind it, whatever was
// rounded before (Frantar et al. 2022, section 3.3, step 3).  h: (in, in), the lower triangle of H, becomes U in the
// upper one
void invert_and_factor(const std::string& name, std::vector<double>& h, std::size_t in) {
  const auto n = static_cast<lapack_int>(in);
  done(LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', n, h.data(), n), name, "dpotrf");
  done(LAPACKE_dpotri(LAPACK_ROW_MAJOR, 'L', n, h.data(), n), name, "dpotri");
  for (std::size_t row = 0; row < in; ++row)
    for (std::size_t col = 0; col < row; ++col) h[col * in + row] = h[row * in + col];
  done(LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'U', n, h.data(), n), name, "dpotrf");
}

// What is added to the diagonal.
double addition_to(const std::vector<double>& products, std::size_t in) {
  double mean = 0;
  for (std::size_t i = 0; i < in; ++i) mean += products[i * in + i] / static_cast<double>(in);
  return damping * mean;
}

// Adds to the diagonal; inputs that were always 0 have a diagonal of 1, and no weight.
void make_definite(std::vector<double>& h, std::vector<double>& weights, std::size_t in) {
  const double addition = addition_to(h, in);
  for (std::size_t i = 0; i < in; ++i) {
    if (h[i * in + i] == 0) {
      h[i * in + i] = 1;
      for (std::size_t at = i; at < weights.size(); at += in) weights[at] = 0;
    }
    h[i * in + i] += addition;
  }
}

}  // namespace

InputProducts input_products(Model& model, WatchedLinears& linears, const Windows& windows, Communicator& alone,
                             Device& device) {
  const Doing frame{[&] { return str("summing products of inputs over ", windows.file.path().string()); }};
  check(alone.size() == 1, "input_products: on ", alone.size(), " ranks");
  InputProducts products;
  show_windows(model, linears, windows, alone, device, [&](const Parameter& weight, std::span<const float> values) {
    const std::size_t in = weight.shape.cols();
    min_max(values, ops::QuantizationGrid::per_tensor(values.size()), "the input of " + weight.name);  // all finite
    std::vector<double>& sums = products[weight.name];
    sums.resize(in * in);
    add_products(values, in, sums);
  });
  return products;
}

std::vector<double> root_of(const std::string& name, const std::vector<double>& products, std::size_t in) {
  check(products.size() == in * in, name, ": ", products.size(), " products of ", in, " inputs");
  std::vector<double> root = products;
  const double addition = addition_to(products, in);
  for (std::size_t i = 0; i < in; ++i) root[i * in + i] += addition;
  const auto n = static_cast<lapack_int>(in);
  done(LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', n, root.data(), n), name, "dpotrf");
  for (std::size_t row = 0; row < in; ++row)
    std::fill(root.data() + row * in + row + 1, root.data() + (row + 1) * in, 0.0);
  return root;
}

PackedTensor round_by_products(const std::string& name, const Shape& shape, std::span<const float> values,
                               const Plan& plan, const std::vector<double>& products) {
  const std::size_t out = shape.rows(), in = shape.cols();
  check(is_integer(plan.form) && values.size() == out * in && products.size() == in * in, name, ": ", values.size(),
        " values of shape ", shape, " by ", products.size(), " products");
  min_max(values, ops::QuantizationGrid::per_tensor(values.size()), name);  // all finite
  std::vector<double> factor = products, weights(values.begin(), values.end());
  make_definite(factor, weights, in);
  invert_and_factor(name, factor, in);

  PackedTensor tensor{name, shape, plan.form, plan.group, {}, {}};
  tensor.scales.resize(tensor.grid().parameters());
  tensor.values.resize(tensor.value_bytes());
  const auto [low, high] = rounding_levels(plan.form);
  std::vector<float> group(std::min(plan.group, in));
  for (std::size_t row = 0; row < out; ++row) {
    double* w = weights.data() + row * in;
    float scale = 1;
    for (std::size_t col = 0; col < in; ++col) {
      if (col % plan.group == 0) {
        const std::size_t count = std::min(plan.group, in - col);
        for (std::size_t i = 0; i < count; ++i) group[i] = static_cast<float>(w[col + i]);
        scale = scale_of_group(plan.form, std::span{group}.first(count));
        tensor.scales[row * tensor.grid().groups() + col / plan.group] = scale;
      }
      const double level =
          std::clamp(std::nearbyint(w[col] / double{scale}), static_cast<double>(low), static_cast<double>(high));
      tensor.set_level(row, col, static_cast<std::int32_t>(level));
      const double* effect = factor.data() + col * in;
      const double error = (w[col] - level * double{scale}) / effect[col];
      for (std::size_t later = col + 1; later < in; ++later) w[later] -= error * effect[later];
    }
  }
  check_scales(tensor);
  return tensor;
}

}  // namespace tranche::compress
