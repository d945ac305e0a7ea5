// The angles of rotary positions, computed once in a process.
#pragma once

#include <cstddef>

namespace tranche::ops {

// For each position: head_width / 2 cosines, then as many sines, of position * theta^(-2 c / head_width); angles,
// cosines and sines in double precision, rounded once. Thread-safe; stays valid until the process ends.
const float* rotary_table(float theta, std::size_t head_width, std::size_t positions);

}  // namespace tranche::ops
