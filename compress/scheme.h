// How a model's tensors are stored and multiplied after training.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/base/shape.h"
#include "runtime/ops/packed_linear.h"

namespace tranche::compress {

enum class Scheme : std::uint8_t {
  int8_dynamic,  // weights of 8 bits with one scale a row; activations quantized to 8 bits as they come
  int8_static,   // the same, activations over ranges that were calibrated
  int8_weight,   // weights of 8 bits in groups; activations to 16 bits, for exact integer sums
  int4_weight,   // weights of linears of 4 bits in groups, tables as int8_weight
  int2_weight,   // weights of linears of 2 bits in groups, tables as int8_weight
  float16,       // stored in half the bytes, computed with as float32
  bfloat16,
  signs,         // weights of linears are signs with one scale a row, and their inputs are signs
  scaled_signs,  // the same, inputs times the mean magnitude of their token
  sparse,        // of pruned models: float32 without most of the zeros, stored and multiplied
};
std::string_view name_of(Scheme scheme);       // "int8-dynamic"
Scheme scheme_named(const std::string& name);  // Exit::usage for another

// One tensor's form; of bitmap and two_of_four compress/sparse_tensor.h tells. signs: one bit, 1 where it is set, else
// -1.
enum class TensorForm : std::uint8_t { float32, float16, bfloat16, int8, int4, int2, signs, bitmap, two_of_four };
std::string_view name_of(TensorForm form);
TensorForm form_named(std::string_view name, const std::string& where);  // Exit::checkpoint for another
constexpr bool is_sparse(TensorForm form) { return form == TensorForm::bitmap || form == TensorForm::two_of_four; }
constexpr bool is_of_signs(Scheme scheme) { return scheme == Scheme::signs || scheme == Scheme::scaled_signs; }
constexpr bool is_integer(TensorForm form) {
  return form == TensorForm::int8 || form == TensorForm::int4 || form == TensorForm::int2 || form == TensorForm::signs;
}
// Of an element; not of sparse forms.
constexpr unsigned bits_of(TensorForm form) {
  switch (form) {
    case TensorForm::float32: return 32;
    case TensorForm::int8: return 8;
    case TensorForm::int4: return 4;
    case TensorForm::int2: return 2;
    case TensorForm::signs: return 1;
    default: return 16;
  }
}
// Of integers: all that their bits can say; of signs, where 0 is none, the two.
constexpr ops::Levels levels_of(TensorForm form) {
  if (form == TensorForm::signs) return {-1, 1};
  const std::int32_t half = 1 << (bits_of(form) - 1);
  return {-half, half - 1};
}

inline constexpr std::size_t most_in_group = 128;                       // of columns, where activations are words
inline constexpr float least_scale = 0x1p-100f, most_scale = 0x1p100f;  // that a packed file has: products stay finite

struct Plan {
  TensorForm form = TensorForm::float32;
  std::size_t group = 0;  // of integers: columns that share a scale
};

// What the scheme (not sparse, nor of signs) makes of a tensor. Vectors (biases, gains) stay float32. table: rows are
// looked up. group: asked for, a multiple of 32 from 32 to 128; of int8_dynamic there is none.
Plan plan_of(Scheme scheme, std::size_t group, const Shape& shape, bool table);

// How a scheme's integer weights are multiplied; not of signs.
ops::ActivationForm activations_of(Scheme scheme);

}  // namespace tranche::compress
