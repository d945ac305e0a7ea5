#include "runtime/ops/kernels/activation.h"

#include "runtime/ops/cpu/tiles.h"
#include "runtime/ops/functors/activation.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

using functors::put;
using functors::with_activation;

void forward(Device& device, const ActivationForward& a) {
  over_elements(device, a.size, [&](std::size_t first, std::size_t count) {
    with_type(a.x.dtype, [&](auto type) {
      using T = decltype(type);
      with_activation(a.kind, [&](auto activation) {
        const T* x = a.x.as<const T>() + first;
        T* y = a.y.as<T>() + first;
        Block{}.each(count,
                     [&](std::size_t i) TRANCHE_ALWAYS_INLINE { put<false>(y[i], activation.value(to_float(x[i]))); });
      });
    });
  });
}

void gradient(Device& device, const ActivationGradient& a) {
  over_elements(device, a.size, [&](std::size_t first, std::size_t count) {
    with_target(a.dx, [&](auto type, auto mode) {
      using T = decltype(type);
      with_activation(a.kind, [&](auto activation) {
        const T *dy = a.dy.as<const T>() + first, *x = a.x.as<const T>() + first;
        T* dx = a.dx.as<T>() + first;
        Block{}.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
          put<mode.adds>(dx[i], to_float(dy[i]) * activation.slope(to_float(x[i])));
        });
      });
    });
  });
}

void gated(Device& device, const GatedForward& a) {
  over_elements(device, a.size, [&](std::size_t first, std::size_t count) {
    with_type(a.gate.dtype, [&](auto type) {
      using T = decltype(type);
      with_activation(a.kind, [&](auto activation) {
        const T *gate = a.gate.as<const T>() + first, *up = a.up.as<const T>() + first;
        T* y = a.y.as<T>() + first;
        Block{}.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
          put<false>(y[i], activation.value(to_float(gate[i])) * to_float(up[i]));
        });
      });
    });
  });
}

void gated_gradient(Device& device, const GatedGradient& a) {
  over_elements(device, a.size, [&](std::size_t first, std::size_t count) {
    if (a.dup) {
      with_target(a.dup, [&](auto type, auto mode) {
        using T = decltype(type);
        with_activation(a.kind, [&](auto activation) {
          const T *dy = a.dy.as<const T>() + first, *gate = a.gate.as<const T>() + first;
          T* dup = a.dup.as<T>() + first;
          Block{}.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
            put<mode.adds>(dup[i], to_float(dy[i]) * activation.value(to_float(gate[i])));
          });
        });
      });
    }
    if (a.dgate) {
      with_target(a.dgate, [&](auto type, auto mode) {
        using T = decltype(type);
        with_activation(a.kind, [&](auto activation) {
          const T *dy = a.dy.as<const T>() + first, *gate = a.gate.as<const T>() + first;
          const T* up = a.up.as<const T>() + first;
          T* dgate = a.dgate.as<T>() + first;
          Block{}.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
            put<mode.adds>(dgate[i], to_float(dy[i]) * to_float(up[i]) * activation.slope(to_float(gate[i])));
          });
        });
      });
    }
  });
}

}  // namespace

ActivationKernels activation_kernels();
ActivationKernels activation_kernels() {
  return {.forward = forward, .gradient = gradient, .gated = gated, .gated_gradient = gated_gradient};
}

}  // namespace tranche::ops::TRANCHE_PATH
