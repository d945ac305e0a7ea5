#include <type_traits>

#include "runtime/ops/cuda/launch.cuh"
#include "runtime/ops/cuda/table.h"
#include "runtime/ops/functors/random.h"

namespace tranche::ops::cuda {

using functors::put;

template <class T> struct AddElement {
  const T *a, *b;
  T* y;
  __device__ void operator()(std::size_t i) const { put<false>(y[i], to_float(a[i]) + to_float(b[i])); }
};
void add(Device& device, const Add& op) {
  with_type(op.y.dtype, [&](auto type) {
    using T = decltype(type);
    over_elements(device, op.size, AddElement<T>{op.a.as<const T>(), op.b.as<const T>(), op.y.as<T>()});
  });
}

template <bool adds, class From, class To> struct StoreElement {
  const From* from;
  To* to;
  __device__ void operator()(std::size_t i) const {
    if constexpr (!adds && std::is_same_v<From, To>)
      to[i] = from[i];  // a NaN's bits as well
    else
      put<adds>(to[i], to_float(from[i]));
  }
};
void store(Device& device, const Store& op) {
  with_type(op.from.dtype, [&](auto source) {
    with_target(op.to, [&](auto target, auto mode) {
      using From = decltype(source);
      using To = decltype(target);
      over_elements(device, op.size,
                    StoreElement<decltype(mode)::adds, From, To>{op.from.as<const From>(), op.to.as<To>()});
    });
  });
}
void convert(Device& device, const Convert& op) { store(device, {.from = op.x, .to = {op.y, false}, .size = op.size}); }

void accumulate(Device& device, const Accumulate& op) {
  const Elements sum{reinterpret_cast<std::byte*>(op.sum), DType::float32};
  store(device, {.from = op.from, .to = {sum, true}, .size = op.size});
}

template <class T> struct ScaleElement {
  T* x;
  float factor;
  __device__ void operator()(std::size_t i) const { put<false>(x[i], to_float(x[i]) * factor); }
};
void scale(Device& device, const Scale& op) {
  with_type(op.x.dtype, [&](auto type) {
    using T = decltype(type);
    over_elements(device, op.size, ScaleElement<T>{op.x.as<T>(), op.factor});
  });
}

// Four elements, whose numbers are drawn together.
template <bool adds, class T> struct DropFour {
  const T* x;
  T* y;
  std::uint64_t key;
  float probability;
  std::size_t size;
  __device__ void operator()(std::size_t group) const {
    std::uint32_t words[4][1];
    functors::philox_groups(key, group, words);
    const float rest = 1.0f - probability;
    for (std::size_t word = 0; word < 4 && 4 * group + word < size; ++word) {
      const std::size_t i = 4 * group + word;
      const float scaled = to_float(x[i]) / rest;
      put<adds>(y[i], functors::kept(words[word][0], probability) ? scaled : 0.0f);
    }
  }
};
void dropout(Device& device, const Dropout& op) {
  with_target(op.y, [&](auto type, auto mode) {
    using T = decltype(type);
    over_elements(device, pieces_of(op.size, 4),
                  DropFour<decltype(mode)::adds, T>{op.x.as<const T>(), op.y.as<T>(), op.key, op.probability, op.size});
  });
}

// Elements 4g .. 4g + 3 of a normal stream are the two pairs of the four numbers of group g, wherever the tensor's
// first element is among them.
struct NormalFour {
  FillNormal op;
  __device__ void operator()(std::size_t nth) const {
    const std::uint64_t group = op.first / 4 + nth;
    std::uint32_t words[4][1];
    functors::philox_groups(op.key, group, words);
    const functors::CosineSine low = functors::normal_pair(words[0][0], words[1][0]);
    const functors::CosineSine high = functors::normal_pair(words[2][0], words[3][0]);
    const float drawn[4] = {low.cosine, low.sine, high.cosine, high.sine};
    for (std::size_t word = 0; word < 4; ++word) {
      const std::uint64_t element = 4 * group + word;
      if (element >= op.first && element - op.first < op.size)
        op.x[element - op.first] = op.mean + op.deviation * drawn[word];
    }
  }
};
void fill_normal(Device& device, const FillNormal& op) {
  over_elements(device, pieces_of(op.first % 4 + op.size, 4), NormalFour{op});
}

template <class T> struct FillElement {
  T* x;
  float value;
  __device__ void operator()(std::size_t i) const { put<false>(x[i], value); }
};
void fill_constant(Device& device, const FillConstant& op) {
  with_type(op.x.dtype, [&](auto type) {
    using T = decltype(type);
    over_elements(device, op.size, FillElement<T>{op.x.as<T>(), op.value});
  });
}

ElementwiseKernels elementwise_kernels() {
  return {.add = add,
          .store = store,
          .convert = convert,
          .scale = scale,
          .accumulate = accumulate,
          .dropout = dropout,
          .fill_normal = fill_normal,
          .fill_constant = fill_constant};
}

}  // namespace tranche::ops::cuda
