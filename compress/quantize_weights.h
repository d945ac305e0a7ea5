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

// One tensor. int8: scale = largest magnitude / 127. int4: of some scales about largest magnitude / 8 the one with the
// least squared error. A group of zeros has scale 1.
// Throws Exit::numerics for a value that is not finite, that float16 cannot hold, or whose scale is beyond 2^100.
PackedTensor quantize_weight(const std::string& name, const Shape& shape, std::span<const float> values,
                             const Plan& plan);

// Float32 values of a unit's flat layout, and what keeps them in memory.
struct UnitValues {
  std::span<const float> values;
  std::shared_ptr<const void> holder;
};

// All units of a model into a file; nothing appears under `path` unless all of it went well. inputs: what int8_static
// needs, by the name of the weight. Throws Exit::data if a range is that of no weight.
void write_packed(const std::filesystem::path& path, const PackedDescription& description, std::size_t group,
                  const std::deque<Unit>& units, const std::function<UnitValues(const Unit&)>& values_of,
                  const InputRanges& inputs = {});

}  // namespace tranche::compress
