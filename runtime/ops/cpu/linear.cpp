#include "runtime/ops/kernels/linear.h"

#include "runtime/device/cpu/cpu_device.h"
#include "runtime/ops/cpu/vector.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

// A tile is a strip of columns, so that each sum has one owner and goes down the rows.
constexpr std::size_t strip = 64;

template <class T>
void bias_gradient_strip(const LinearBiasGradient& a, std::size_t first, std::size_t count) {
  const T* dy = a.dy.as<const T>() + first;
  T* dbias = a.dbias.as<T>() + first;
  float sums[strip] = {};
  for (std::size_t row = 0; row < a.rows; ++row, dy += a.out)
    for (std::size_t c = 0; c < count; ++c) sums[c] += to_float(dy[c]);
  if (a.dbias.holds_values)
    for (std::size_t c = 0; c < count; ++c) sums[c] += to_float(dbias[c]);
  for (std::size_t c = 0; c < count; ++c) dbias[c] = from_float<T>(sums[c]);
}

void bias_gradient(Device& device, const LinearBiasGradient& a) {
  pool_of(device).run((a.out + strip - 1) / strip, [&](std::size_t tile) {
    const std::size_t first = tile * strip, count = a.out - first < strip ? a.out - first : strip;
    with_type(a.dy.dtype, [&](auto type) { bias_gradient_strip<decltype(type)>(a, first, count); });
  });
}

}  // namespace

LinearKernels linear_kernels();
LinearKernels linear_kernels() {
  return {.forward = nullptr, .input_gradient = nullptr, .weight_gradient = nullptr, .bias_gradient = bias_gradient};
}

}  // namespace tranche::ops::TRANCHE_PATH
