#include "runtime/ops/functors/rotary.h"
#include "runtime/ops/cpu/rotary_table.h"
#include "runtime/ops/cpu/tiles.h"
#include "runtime/ops/kernels/attention.h"

namespace tranche::ops::TRANCHE_PATH {

// Turns the pairs (c, c + half) of one head by the angles, or back by -direction. `to` may be `from`.
template <bool adds, class T>
TRANCHE_INLINE void turn_head(const T* from, const float* cosines, float direction, std::size_t half, T* to) {
  const float* sines = cosines + half;
#pragma GCC ivdep
  for (std::size_t c = 0; c < half; ++c) functors::turn<adds>(from + c, cosines[c], direction * sines[c], half, to + c);
}

template <bool adds, class T>
TRANCHE_INLINE void turn_row(const T* from, const AttentionShape& shape, const float* angles, float direction, T* to) {
  const std::size_t turned = (shape.heads + shape.groups) * shape.head_width, width = shape.qkv_width();
  for (std::size_t first = 0; first < turned; first += shape.head_width)
    turn_head<adds>(from + first, angles, direction, shape.head_width / 2, to + first);
  if (!adds && from == to) return;
#pragma GCC ivdep
  for (std::size_t c = turned; c < width; ++c) functors::put<adds>(to[c], to_float(from[c]));
}

namespace {

void turn_all(Device& device, const Elements& from, const Target& to, const AttentionShape& shape, float theta,
              float direction, std::size_t first) {
  const float* table = rotary_table(theta, shape.head_width, first + shape.sequence) + first * shape.head_width;
  with_target(to, [&](auto type, auto how) {
    using T = decltype(type);
    over_rows(device, shape.batch * shape.sequence, shape.qkv_width(), [&](std::size_t row) {
      turn_row<decltype(how)::adds>(from.as<const T>() + row * shape.qkv_width(), shape,
                                    table + row % shape.sequence * shape.head_width, direction,
                                    to.as<T>() + row * shape.qkv_width());
    });
  });
}

}  // namespace

void rotary(Device& device, const Rotary& r);
void rotary(Device& device, const Rotary& r) { turn_all(device, r.qkv, {r.y, false}, r.shape, r.theta, 1, r.first); }

void rotary_gradient(Device& device, const RotaryGradient& g);
void rotary_gradient(Device& device, const RotaryGradient& g) {
  turn_all(device, g.dy, g.dqkv, g.shape, g.theta, -1, 0);
}

}  // namespace tranche::ops::TRANCHE_PATH
