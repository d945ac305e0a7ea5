// From a model that learned to live with fake quantization to one whose weights are integers, and from a pruned one to
// one without the zeros: the same numbers.
#pragma once

#include "compress/fake_quantization.h"
#include "compress/quantize_weights.h"

namespace tranche::compress {

// The scheme in which a model that was trained so is packed. Throws Exit::usage, saying what to train with instead, if
// there is none.
Scheme scheme_after(const CompressConfig& config);

// One weight: the levels that training's forward computed with, after `updates`. What no group contained stays
// float32. steps: the learned ones, or none; working: the dtype in which the forward saw the weight.
PackedTensor convert_weight(const Parameter& parameter, std::span<const float> values, std::span<const float> steps,
                            const CompressConfig& config, std::uint64_t updates, DType working, Scheme scheme,
                            Device& device);

// A model that was pruned while it trained, without the zeros that pruning made. Throws Exit::usage if there is none
// yet.
void convert_pruned_model(const std::filesystem::path& path, const PackedDescription& description,
                          const std::deque<Unit>& units, const UnitReader& values_of, const PruningConfig& config,
                          std::uint64_t updates);

// The whole model. quantization: restored from the same checkpoint.
void convert_model(const std::filesystem::path& path, const PackedDescription& description,
                   const std::deque<Unit>& units, const UnitReader& values_of, const CompressConfig& config,
                   const FakeQuantization& quantization, std::uint64_t updates, DType working, Device& device);

}  // namespace tranche::compress
