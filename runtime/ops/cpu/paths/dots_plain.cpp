// For any processor: loops that say what the others compute.
#include "runtime/ops/cpu/paths/dots_loop.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

struct Machine {
  struct Weights {
    std::int16_t values[64];
  };
  struct Sums {
    std::int32_t values[16];
  };

  static Sums zero() { return {}; }
  template <std::size_t parts> static void load(const std::byte* from, Weights (&weights)[parts]) {
    constexpr unsigned bits = 8 / parts;
    for (unsigned part = 0; part < parts; ++part)
      for (std::size_t i = 0; i < 64; ++i) {
        const unsigned raised = static_cast<unsigned>(from[i]) << (8 - bits * (part + 1));
        weights[part].values[i] = static_cast<std::int8_t>(static_cast<std::uint8_t>(raised & (0xFFu << (8 - bits))));
      }
  }
  static void add(Sums& sums, const Weights& weights, const std::uint8_t* x) {
    for (std::size_t o = 0; o < 16; ++o)
      for (std::size_t k = 0; k < 4; ++k) sums.values[o] += std::int32_t{x[k]} * weights.values[4 * o + k];
  }
  static void store(const Sums& sums, std::int32_t* to) { __builtin_memcpy(to, sums.values, sizeof sums.values); }
};

}  // namespace

void dots_int8(const Dots& d) { dots_of<Machine, 1>(d); }
void dots_int4(const Dots& d) { dots_of<Machine, 2>(d); }
void dots_int2(const Dots& d) { dots_of<Machine, 4>(d); }

}  // namespace tranche::ops::TRANCHE_PATH
