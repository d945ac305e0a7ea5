// Rotary positions: a thread block turns the heads of one token. The angles of a piece of a head are computed once, in
// shared memory.
#include "runtime/ops/functors/rotary.h"

#include "runtime/ops/cuda/attention.h"
#include "runtime/ops/cuda/launch.cuh"

namespace tranche::ops::cuda {

inline constexpr std::size_t angles_together = 128;

template <bool adds, class T> struct TurnRow {
  const T* from;
  T* to;
  AttentionShape shape;
  double ratio;
  float direction;
  std::size_t first;

  __device__ void operator()(const Block& block, std::size_t row) const {
    const std::size_t half = shape.head_width / 2, heads = shape.heads + shape.groups, width = shape.qkv_width();
    const T* its = from + row * width;
    T* turned = to + row * width;
    TRANCHE_SHARED(float, cosines, angles_together);
    TRANCHE_SHARED(float, sines, angles_together);
    for (std::size_t begin = 0; begin < half; begin += angles_together) {
      const std::size_t count = half - begin < angles_together ? half - begin : angles_together;
      block.each(count, [&](std::size_t i) {
        const functors::Angle angle = functors::rotary_angle(ratio, begin + i, first + row % shape.sequence);
        cosines[i] = angle.cosine, sines[i] = direction * angle.sine;
      });
      block.each(heads * count, [&](std::size_t i) {
        const std::size_t at = i / count * shape.head_width + begin + i % count;
        functors::turn<adds>(its + at, cosines[i % count], sines[i % count], half, turned + at);
      });
    }
    if (!adds && from == to) return;
    const std::size_t values = heads * shape.head_width;
    block.each(width - values,
               [&](std::size_t i) { functors::put<adds>(turned[values + i], to_float(its[values + i])); });
  }
};

void turn_all(Device& device, const Elements& from, const Target& to, const AttentionShape& shape, float theta,
              float direction, std::size_t first) {
  with_target(to, [&](auto type, auto mode) {
    using T = decltype(type);
    over_rows(device, shape.batch * shape.sequence, shape.qkv_width(),
              TurnRow<decltype(mode)::adds, T>{from.as<const T>(), to.as<T>(), shape,
                                               functors::rotary_ratio(theta, shape.head_width), direction, first});
  });
}

void rotary(Device& device, const Rotary& r) { turn_all(device, r.qkv, {r.y, false}, r.shape, r.theta, 1, r.first); }
void rotary_gradient(Device& device, const RotaryGradient& g) {
  turn_all(device, g.dy, g.dqkv, g.shape, g.theta, -1, 0);
}

}  // namespace tranche::ops::cuda
