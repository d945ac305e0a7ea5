#include "runtime/ops/cuda/launch.cuh"
#include "runtime/ops/cuda/table.h"
#include "runtime/ops/functors/optimizer.h"

namespace tranche::ops::cuda {

// Updates an element and, in the same pass, rounds its weight to the working copy if there is one.
template <class Update> struct WithoutCopy {
  Update update;
  __device__ void operator()(std::size_t i) const { update(i); }
};
template <class T, class Update> struct WithCopy {
  Update update;
  T* working;
  __device__ void operator()(std::size_t i) const { functors::put<false>(working[i], update(i)); }
};
template <class Update>
void update_all(Device& device, std::size_t size, const Elements& working, const Update& update) {
  if (!working) return over_elements(device, size, WithoutCopy<Update>{update});
  with_type(working.dtype, [&](auto type) {
    using T = decltype(type);
    over_elements(device, size, WithCopy<T, Update>{update, working.as<T>()});
  });
}

struct AdamElement {
  functors::Adam update;
  float *weights, *mean, *square;
  const float* gradient;
  __device__ float operator()(std::size_t i) const {
    float weight = weights[i];
    update(weight, mean[i], square[i], gradient[i]);
    return weights[i] = weight;
  }
};
void adam(Device& device, const AdamUpdate& a) {
  update_all(device, a.size, a.working, AdamElement{functors::Adam{a.step}, a.weights, a.mean, a.square, a.gradient});
}

template <bool first, bool looks_ahead> struct MomentumElement {
  functors::Sgd update;
  float *weights, *buffer;
  const float* gradient;
  __device__ float operator()(std::size_t i) const {
    float weight = weights[i];
    update.template update<first, looks_ahead>(weight, buffer[i], gradient[i]);
    return weights[i] = weight;
  }
};
struct SgdElement {
  functors::Sgd update;
  float* weights;
  const float* gradient;
  __device__ float operator()(std::size_t i) const {
    float weight = weights[i];
    update(weight, gradient[i]);
    return weights[i] = weight;
  }
};
template <bool first, bool looks_ahead> void sgd_with_momentum(Device& device, const SgdUpdate& a) {
  update_all(device, a.size, a.working,
             MomentumElement<first, looks_ahead>{functors::Sgd{a.step}, a.weights, a.buffer, a.gradient});
}
void sgd(Device& device, const SgdUpdate& a) {
  if (a.buffer == nullptr)
    update_all(device, a.size, a.working, SgdElement{functors::Sgd{a.step}, a.weights, a.gradient});
  else if (a.step.first)
    a.step.nesterov ? sgd_with_momentum<true, true>(device, a) : sgd_with_momentum<true, false>(device, a);
  else
    a.step.nesterov ? sgd_with_momentum<false, true>(device, a) : sgd_with_momentum<false, false>(device, a);
}

OptimizerKernels optimizer_kernels() { return {.adam = adam, .sgd = sgd}; }

}  // namespace tranche::ops::cuda
