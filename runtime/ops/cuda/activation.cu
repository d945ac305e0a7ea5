#include "runtime/ops/cuda/launch.cuh"
#include "runtime/ops/cuda/table.h"
#include "runtime/ops/functors/activation.h"

namespace tranche::ops::cuda {

using functors::put;

template <class F, class T> struct ActivateElement {
  const T* x;
  T* y;
  __device__ void operator()(std::size_t i) const { put<false>(y[i], F{}.value(to_float(x[i]))); }
};
void activation(Device& device, const ActivationForward& a) {
  with_type(a.x.dtype, [&](auto type) {
    functors::with_activation(a.kind, [&](auto kind) {
      using T = decltype(type);
      over_elements(device, a.size, ActivateElement<decltype(kind), T>{a.x.as<const T>(), a.y.as<T>()});
    });
  });
}

template <bool adds, class F, class T> struct ActivationGradientElement {
  const T *dy, *x;
  T* dx;
  __device__ void operator()(std::size_t i) const { put<adds>(dx[i], to_float(dy[i]) * F{}.slope(to_float(x[i]))); }
};
void activation_gradient(Device& device, const ActivationGradient& a) {
  with_target(a.dx, [&](auto type, auto mode) {
    functors::with_activation(a.kind, [&](auto kind) {
      using T = decltype(type);
      using Op = ActivationGradientElement<decltype(mode)::adds, decltype(kind), T>;
      over_elements(device, a.size, Op{a.dy.as<const T>(), a.x.as<const T>(), a.dx.as<T>()});
    });
  });
}

template <class F, class T> struct GateElement {
  const T *gate, *up;
  T* y;
  __device__ void operator()(std::size_t i) const { put<false>(y[i], F{}.value(to_float(gate[i])) * to_float(up[i])); }
};
void gated(Device& device, const GatedForward& a) {
  with_type(a.gate.dtype, [&](auto type) {
    functors::with_activation(a.kind, [&](auto kind) {
      using T = decltype(type);
      using Op = GateElement<decltype(kind), T>;
      over_elements(device, a.size, Op{a.gate.as<const T>(), a.up.as<const T>(), a.y.as<T>()});
    });
  });
}

template <bool adds, class F, class T> struct UpGradientElement {
  const T *dy, *gate;
  T* dup;
  __device__ void operator()(std::size_t i) const { put<adds>(dup[i], to_float(dy[i]) * F{}.value(to_float(gate[i]))); }
};
template <bool adds, class F, class T> struct GateGradientElement {
  const T *dy, *gate, *up;
  T* dgate;
  __device__ void operator()(std::size_t i) const {
    put<adds>(dgate[i], to_float(dy[i]) * to_float(up[i]) * F{}.slope(to_float(gate[i])));
  }
};
void gated_gradient(Device& device, const GatedGradient& a) {
  if (a.dup) {
    with_target(a.dup, [&](auto type, auto mode) {
      functors::with_activation(a.kind, [&](auto kind) {
        using T = decltype(type);
        using Op = UpGradientElement<decltype(mode)::adds, decltype(kind), T>;
        over_elements(device, a.size, Op{a.dy.as<const T>(), a.gate.as<const T>(), a.dup.as<T>()});
      });
    });
  }
  if (a.dgate) {
    with_target(a.dgate, [&](auto type, auto mode) {
      functors::with_activation(a.kind, [&](auto kind) {
        using T = decltype(type);
        using Op = GateGradientElement<decltype(mode)::adds, decltype(kind), T>;
        over_elements(device, a.size,
                      Op{a.dy.as<const T>(), a.gate.as<const T>(), a.up.as<const T>(), a.dgate.as<T>()});
      });
    });
  }
}

ActivationKernels activation_kernels() {
  return {.forward = activation, .gradient = activation_gradient, .gated = gated, .gated_gradient = gated_gradient};
}

}  // namespace tranche::ops::cuda
