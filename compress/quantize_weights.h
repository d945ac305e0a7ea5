// From a trained model's float32 parameters to the tensors of a packed file: round to nearest.
#pragma once

#include <deque>
#include <filesystem>
#include <functional>
#include <span>

#include "compress/calibration.h"
#include "compress/packed_file.h"
#include "runtime/nn/unit.h"

namespace tranche::compress {

// One tensor. int8: scale = largest magnitude / 127. int4, int2: of some scales up to the largest magnitude the one
// with the least squared error. A group of zeros has scale 1. Throws Exit::numerics for a value that is not finite,
// that float16 cannot hold, or whose scale is beyond 2^100.
PackedTensor quantize_weight(const std::string& name, const Shape& shape, std::span<const float> values,
                             const Plan& plan);

// Of int8: with one scale for all rows, that of the largest magnitude.
PackedTensor quantize_weight_by_one_scale(const std::string& name, const Shape& shape, std::span<const float> values,
                                          const Plan& plan);

// What rounding takes of a form's levels, and the scale that it takes for a group. values: finite
ops::Levels rounding_levels(TensorForm form);
float scale_of_group(TensorForm form, std::span<const float> values);
// Throws Exit::numerics for a scale that is beyond 2^-100 .. 2^100.
void check_scales(const PackedTensor& tensor);

// values: round(value / scale), clamped to levels, by the tensor's scales, which are there. Throws Exit::numerics for a
// scale that is beyond 2^-100 .. 2^100.
void store_levels(PackedTensor& tensor, std::span<const float> values, ops::Levels levels);

// Float32 values of a unit's flat layout, and what keeps them in memory.
struct UnitValues {
  std::span<const float> values;
  std::shared_ptr<const void> holder;
};

using UnitReader = std::function<UnitValues(const Unit&)>;

// All units of a model into a file, each tensor as `pack` makes it; nothing appears under `path` unless all of it went
// well.
using Packing = std::function<PackedTensor(const Unit&, const Parameter&, std::span<const float> values)>;
void write_packed(const std::filesystem::path& path, const PackedDescription& description,
                  const std::deque<Unit>& units, const UnitReader& values_of, const Packing& pack);

// How a tensor is brought into its form; the default: quantize_weight.
using Rounding = std::function<PackedTensor(const std::string& name, const Shape& shape, std::span<const float> values,
                                            const Plan& plan)>;

// The same with every tensor in the form that the scheme plans. inputs: what int8_static needs, by the name of the
// weight. Throws Exit::data if a range is that of no weight.
void quantize_model(const std::filesystem::path& path, const PackedDescription& description, std::size_t group,
                    const std::deque<Unit>& units, const UnitReader& values_of, const InputRanges& inputs = {},
                    const Rounding& round = quantize_weight);

}  // namespace tranche::compress
