// Rounding weights so that what a linear gives changes little, where rounding each to its nearest level changes the
// weights little: GPTQ (Frantar et al. 2022), after optimal brain surgery. What one rounding does wrong the columns
// that are still to be rounded make good, as far as the inputs of calibration say.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "compress/calibration.h"
#include "compress/quantize_weights.h"

namespace tranche::compress {

// Of each linear's inputs, by the name of its weight: the sum over tokens of x x^T, (in, in), of which the lower
// triangle is filled, in double precision, token by token in the order of the file.
using InputProducts = std::map<std::string, std::vector<double>>;

// Of these windows; on one rank. `linears` are the model's. Takes 8 in^2 bytes for each linear. Throws Exit::data if
// the file is shorter than one window, Exit::numerics if an input is not finite.
InputProducts input_products(Model& model, WatchedLinears& linears, const Windows& windows, Communicator& alone,
                             Device& device);

// The lower factor L of these products with 1 % of their diagonal's mean added to it, L L^T, and zeros above. name: of
// the weight. Throws Exit::numerics if there is none.
std::vector<double> root_of(const std::string& name, const std::vector<double>& products, std::size_t in);

// quantize_weight of an integer form, column by column: a group's scale is that of its values as they are when its
// first column's turn comes. products: of the weight's inputs, with 1 % of the diagonal's mean added to it; an input
// that was always 0 has a weight of 0. Throws Exit::numerics as quantize_weight does, or if the products cannot be
// inverted.
PackedTensor round_by_products(const std::string& name, const Shape& shape, std::span<const float> values,
                               const Plan& plan, const std::vector<double>& products);

}  // namespace tranche::compress
