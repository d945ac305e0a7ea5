// The angles of rotary positions and the turn by one (runtime/ops/attention.h). Angles, cosines and sines are double
// and without a library, so that every backend turns by the same ones.
#pragma once

#include "runtime/ops/functors/functor.h"

namespace tranche::ops::functors {

// cos and sin of 2 pi turns, for turns >= 0, within 2e-16 of those of that number of turns.
struct Direction {
  double cosine, sine;
};
TRANCHE_FUNCTOR Direction direction_of_turns(double turns) {
  constexpr double round = 0x1.8p52;                        // adding it leaves the nearest integer
  const double within = turns - ((turns + round) - round);  // -1/2 .. 1/2
  const double quarters = (within * 4.0 + round) - round;
  const double a = (within - quarters * 0.25) * 6.283185307179586477;  // |a| <= pi / 4
  const double z = a * a;
  double s = 1.0 / 355687428096000.0;  // Taylor's series: a^19 / 19! is below 1e-19
  s = s * z - 1.0 / 1307674368000.0;
  s = s * z + 1.0 / 6227020800.0;
  s = s * z - 1.0 / 39916800.0;
  s = s * z + 1.0 / 362880.0;
  s = s * z - 1.0 / 5040.0;
  s = s * z + 1.0 / 120.0;
  s = s * z - 1.0 / 6.0;
  const double sine = s * z * a + a;
  double c = -1.0 / 6402373705728000.0;
  c = c * z + 1.0 / 20922789888000.0;
  c = c * z - 1.0 / 87178291200.0;
  c = c * z + 1.0 / 479001600.0;
  c = c * z - 1.0 / 3628800.0;
  c = c * z + 1.0 / 40320.0;
  c = c * z - 1.0 / 720.0;
  c = c * z + 1.0 / 24.0;
  const double cosine = c * z * z - 0.5 * z + 1.0;
  const bool odd = quarters == 1.0 || quarters == -1.0;
  const double first = odd ? sine : cosine, second = odd ? cosine : sine;
  return {quarters == 1.0 || quarters == 2.0 || quarters == -2.0 ? -first : first,
          quarters == -1.0 || quarters == 2.0 || quarters == -2.0 ? -second : second};
}

// theta^(-2 / head_width): the angles of neighbouring pairs are in this ratio.
double rotary_ratio(float theta, std::size_t head_width);

// The turns of one position: ratio^pair / (2 pi).
TRANCHE_FUNCTOR double turns_of_a_position(double ratio, std::size_t pair) {
  double power = 0.159154943091895335769;
  for (; pair != 0; pair /= 2, ratio *= ratio)
    if (pair % 2 != 0) power *= ratio;
  return power;
}

struct Angle {
  float cosine, sine;
};
TRANCHE_FUNCTOR Angle rotary_angle(double ratio, std::size_t pair, std::size_t position) {
  const Direction d = direction_of_turns(static_cast<double>(position) * turns_of_a_position(ratio, pair));
  return {static_cast<float>(d.cosine), static_cast<float>(d.sine)};
}

// Turns (from[0], from[half]) by the angle, or back by -sine. `to` may be `from`.
template <bool adds, class T>
TRANCHE_FUNCTOR void turn(const T* from, float cosine, float sine, std::size_t half, T* to) {
  const float a = to_float(from[0]), b = to_float(from[half]);
  put<adds>(to[0], a * cosine - b * sine);
  put<adds>(to[half], b * cosine + a * sine);
}

}  // namespace tranche::ops::functors
