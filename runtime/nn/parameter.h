// A parameter: declared once, by the layer that computes with it, and known by its name.
#pragma once

#include <string>
#include <vector>

#include "runtime/base/random.h"
#include "runtime/nn/features.h"
#include "runtime/ops/activation.h"
#include "runtime/tensor/tensor.h"

namespace tranche {

class Unit;

struct Initial {
  float mean = 0, deviation = 0;  // normal; a deviation of 0 is a constant

  static Initial zeros() { return {0, 0}; }
  static Initial ones() { return {1, 0}; }
  static Initial normal(float deviation) { return {0, deviation}; }
};

struct Parameter {
  std::string name;  // of the whole path: "blocks.7.mlp.up.weight"
  Shape shape;
  Initial initial{};
  std::vector<Features> features{};  // of each dimension

  // Set when its unit is placed.
  Unit* unit = nullptr;
  std::size_t offset = 0;  // in the unit's flat layout, elements
  Tensor value{};          // a view into that layout; its bytes are there during a visit only

  // What a layer computes with: value, through the unit's weight transform. Only inside a visit to the unit.
  Tensor tensor() const;
  // The same for weights of linears and tables, through the unit's linear form: x value^T + bias, and the numbered
  // rows.
  Tensor multiplied(const Tensor& x, const Tensor& bias = {}) const;
  Tensor activated(ops::Activation kind, const Tensor& x, const Tensor& bias = {}) const;  // of multiplied()
  Tensor rows(const Tensor& numbers) const;
};

}  // namespace tranche
