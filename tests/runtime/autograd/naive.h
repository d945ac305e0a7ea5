// Every differentiable function again, in double and as its definition reads.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "runtime/ops/activation.h"
#include "runtime/ops/attention.h"

namespace tranche::testing::naive {

using Doubles = std::vector<double>;

inline double activation(ops::Activation kind, double x) {
  switch (kind) {
    case ops::Activation::gelu_tanh: return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case ops::Activation::gelu_erf: return x / 2 * (1 + std::erf(x / std::sqrt(2)));
    case ops::Activation::silu: return x / (1 + std::exp(-x));
    case ops::Activation::relu: return x > 0 ? x : 0;
  }
  return NAN;
}

inline bool kept(const RandomKey& key, float probability, std::size_t element) {
  return uniform(key.number(element)) >= probability;
}

inline Doubles embedding(const std::vector<std::int32_t>& tokens, const Doubles& table, std::size_t width) {
  Doubles y;
  for (const std::int32_t token : tokens)
    for (std::size_t c = 0; c < width; ++c) y.push_back(table[static_cast<std::size_t>(token) * width + c]);
  return y;
}

// x: (rows, in), weight: (out, in), bias: (out) or empty
inline Doubles linear(const Doubles& x, const Doubles& weight, const Doubles& bias, std::size_t in) {
  const std::size_t rows = x.size() / in, out = weight.size() / in;
  Doubles y(rows * out);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t o = 0; o < out; ++o) {
      double& sum = y[r * out + o];
      sum = bias.empty() ? 0 : bias[o];
      for (std::size_t i = 0; i < in; ++i) sum += x[r * in + i] * weight[o * in + i];
    }
  return y;
}

inline Doubles layer_norm(const Doubles& x, const Doubles& gain, const Doubles& bias, double epsilon) {
  const std::size_t width = gain.size();
  Doubles y(x.size());
  for (std::size_t row = 0; row < x.size(); row += width) {
    double mean = 0, variance = 0;
    for (std::size_t c = 0; c < width; ++c) mean += x[row + c] / static_cast<double>(width);
    for (std::size_t c = 0; c < width; ++c) variance += std::pow(x[row + c] - mean, 2) / static_cast<double>(width);
    for (std::size_t c = 0; c < width; ++c)
      y[row + c] = gain[c] * (x[row + c] - mean) / std::sqrt(variance + epsilon) + (bias.empty() ? 0 : bias[c]);
  }
  return y;
}

inline Doubles rms_norm(const Doubles& x, const Doubles& gain, double epsilon) {
  const std::size_t width = gain.size();
  Doubles y(x.size());
  for (std::size_t row = 0; row < x.size(); row += width) {
    double mean = 0;
    for (std::size_t c = 0; c < width; ++c) mean += x[row + c] * x[row + c] / static_cast<double>(width);
    for (std::size_t c = 0; c < width; ++c) y[row + c] = gain[c] * x[row + c] / std::sqrt(mean + epsilon);
  }
  return y;
}

inline Doubles attention(const Doubles& qkv, const ops::AttentionShape& s, const ops::AttentionDropout& dropout) {
  Doubles y(s.batch * s.sequence * s.width());
  const auto at = [&](std::size_t b, std::size_t position, std::size_t column) {
    return qkv[(b * s.sequence + position) * s.qkv_width() + column];
  };
  for (std::size_t b = 0; b < s.batch; ++b)
    for (std::size_t h = 0; h < s.heads; ++h)
      for (std::size_t i = 0; i < s.sequence; ++i) {
        const std::size_t group = h / (s.heads / s.groups);
        const std::size_t q = h * s.head_width, k = (s.heads + group) * s.head_width;
        const std::size_t v = (s.heads + s.groups + group) * s.head_width;
        Doubles weights(i + 1);
        double total = 0;
        for (std::size_t j = 0; j <= i; ++j) {
          double score = 0;
          for (std::size_t c = 0; c < s.head_width; ++c) score += at(b, i, q + c) * at(b, j, k + c);
          total += weights[j] = std::exp(score * s.scale);
        }
        for (std::size_t j = 0; j <= i; ++j) {
          const std::size_t element = ((b * s.heads + h) * s.sequence + i) * s.sequence + j;
          if (dropout.probability > 0)
            weights[j] *= kept(dropout.key, dropout.probability, element)
                              ? 1 / (1 - static_cast<double>(dropout.probability))
                              : 0;
          for (std::size_t c = 0; c < s.head_width; ++c)
            y[(b * s.sequence + i) * s.width() + h * s.head_width + c] += weights[j] / total * at(b, j, v + c);
        }
      }
  return y;
}

inline Doubles rotary(const Doubles& qkv, const ops::AttentionShape& s, double theta) {
  Doubles y = qkv;
  const std::size_t half = s.head_width / 2;
  for (std::size_t row = 0; row < s.batch * s.sequence; ++row)
    for (std::size_t h = 0; h < s.heads + s.groups; ++h)
      for (std::size_t c = 0; c < half; ++c) {
        const double power = -2.0 * static_cast<double>(c) / static_cast<double>(s.head_width);
        const double angle = static_cast<double>(row % s.sequence) * std::pow(theta, power);
        const std::size_t low = row * s.qkv_width() + h * s.head_width + c, high = low + half;
        y[low] = qkv[low] * std::cos(angle) - qkv[high] * std::sin(angle);
        y[high] = qkv[high] * std::cos(angle) + qkv[low] * std::sin(angle);
      }
  return y;
}

// The mean over rows whose target is not -100.
inline double cross_entropy(const Doubles& logits, const std::vector<std::int32_t>& targets) {
  const std::size_t classes = logits.size() / targets.size();
  double sum = 0, counted = 0;
  for (std::size_t row = 0; row < targets.size(); ++row) {
    if (targets[row] == -100) continue;
    double total = 0;
    for (std::size_t c = 0; c < classes; ++c) total += std::exp(logits[row * classes + c]);
    sum += std::log(total) - logits[row * classes + static_cast<std::size_t>(targets[row])];
    ++counted;
  }
  return counted == 0 ? 0 : sum / counted;
}

}  // namespace tranche::testing::naive
