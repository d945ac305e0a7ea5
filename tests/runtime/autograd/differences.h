// Gradients against differences: a function on the tape computes in float32; a naive reference computes the same in
// double, and its central differences say what every element of every gradient must be.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

#include "runtime/autograd/functions.h"
#include "runtime/device/cpu/cpu_device.h"

namespace tranche::testing {

using Doubles = std::vector<double>;

struct Input {
  std::string name;
  Shape shape;
  Doubles values;
};

// Elements that float32 holds, of magnitude `least` to about 2.
inline Input input(const std::string& name, const Shape& shape, double least = 0) {
  std::mt19937 numbers{static_cast<std::uint32_t>(hash_of(name))};
  std::normal_distribution<float> normal;
  Input made{name, shape, Doubles(shape.size())};
  for (double& v : made.values) {
    const float drawn = normal(numbers);
    v = drawn + std::copysign(static_cast<float>(least), drawn);
  }
  for (double& v : made.values) v = static_cast<float>(v);
  return made;
}

inline Tensor tensor(Device& device, const std::string& name, const Shape& shape, const Doubles& values) {
  const Tensor made = Tensor::empty(device, name, Category::activations, shape, DType::float32);
  std::transform(values.begin(), values.end(), made.span<float>().begin(),
                 [](double v) { return static_cast<float>(v); });
  return made;
}
inline Tensor integers(Device& device, const Shape& shape, const std::vector<std::int32_t>& values) {
  const Tensor made = Tensor::empty(device, "integers", Category::activations, shape, DType::int32);
  std::copy(values.begin(), values.end(), made.span<std::int32_t>().begin());
  return made;
}
// That backward leaves a gradient for it.
inline Tensor wanted(Tensor x) {
  x.set_variable(std::make_shared<Variable>());
  return x;
}

inline void expect_near(std::span<const float> found, const Doubles& expected, double tolerance,
                        const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  double largest = 0, difference = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(expected[i]));
    const double d = std::abs(found[i] - expected[i]);
    difference = std::isnan(d) ? INFINITY : std::max(difference, d);
  }
  EXPECT_LE(difference, tolerance * std::max(largest, 1e-3)) << what << ", whose largest element is " << largest;
}

using Function = std::function<Tensor(const std::vector<Tensor>&)>;
using Reference = std::function<Doubles(const std::vector<Doubles>&)>;

// f's result, and the gradient of every input for a random gradient of the result, agree with the reference.
// Differences are exact to about 1e-9 there, so the tolerance (relative to the largest element) is float32's.
inline void expect_agreement(const std::vector<Input>& inputs, const Function& f, const Reference& reference,
                             double tolerance = 3e-6) {
  CpuDevice device{2};
  std::vector<Tensor> tensors;
  std::vector<Doubles> values;
  for (const Input& each : inputs) {
    tensors.push_back(wanted(tensor(device, each.name, each.shape, each.values)));
    values.push_back(each.values);
  }
  const Doubles expected = reference(values);

  Tape tape;
  Tensor y;
  {
    const Recording on{&tape};
    y = f(tensors);
  }
  expect_near(y.span<float>(), expected, tolerance, "the result");
  const Input dy = input("gradient of the result", y.shape());
  tape.backward(y, tensor(device, dy.name, dy.shape, dy.values));

  const auto projected = [&](const std::vector<Doubles>& at) {
    const Doubles result = reference(at);
    double sum = 0;
    for (std::size_t i = 0; i < result.size(); ++i) sum += result[i] * dy.values[i];
    return sum;
  };
  constexpr double step = 1e-5;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    Doubles differences(values[k].size());
    for (std::size_t i = 0; i < differences.size(); ++i) {
      std::vector<Doubles> above = values, below = values;
      above[k][i] += step;
      below[k][i] -= step;
      differences[i] = (projected(above) - projected(below)) / (2 * step);
    }
    const Tensor gradient = tensors[k].variable()->take();
    ASSERT_TRUE(gradient) << "no gradient came for " << inputs[k].name;
    EXPECT_EQ(gradient.shape(), inputs[k].shape);
    expect_near(gradient.span<float>(), differences, tolerance, "the gradient of " + inputs[k].name);
  }
}

}  // namespace tranche::testing
