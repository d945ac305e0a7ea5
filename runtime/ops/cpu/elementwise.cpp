#include "runtime/ops/kernels/elementwise.h"

#include "runtime/ops/cpu/tiles.h"
#include "runtime/ops/functors/random.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

using functors::put;

constexpr std::size_t groups = 64, numbers = 4 * groups;  // of random numbers, drawn together
static_assert(tile_elements % numbers == 0);

void add(Device& device, const Add& op) {
  over_elements(device, op.size, [&](std::size_t first, std::size_t count) {
    with_type(op.y.dtype, [&](auto type) {
      using T = decltype(type);
      const T *a = op.a.as<const T>() + first, *b = op.b.as<const T>() + first;
      T* y = op.y.as<T>() + first;
      Block{}.each(count,
                   [&](std::size_t i) TRANCHE_ALWAYS_INLINE { put<false>(y[i], to_float(a[i]) + to_float(b[i])); });
    });
  });
}

void store(Device& device, const Store& op) {
  over_elements(device, op.size, [&](std::size_t first, std::size_t count) {
    with_type(op.from.dtype, [&](auto source) {
      with_type(op.to.dtype, [&](auto target) {
        const auto* from = op.from.as<const decltype(source)>() + first;
        auto* to = op.to.as<decltype(target)>() + first;
        if (op.to.holds_values) {
          Block{}.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { put<true>(to[i], to_float(from[i])); });
        } else if (op.from.dtype == op.to.dtype) {
          __builtin_memmove(to, from, count * sizeof(target));
        } else {
          Block{}.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { put<false>(to[i], to_float(from[i])); });
        }
      });
    });
  });
}

void convert(Device& device, const Convert& op) {
  over_elements(device, op.size, [&](std::size_t first, std::size_t count) {
    with_type(op.x.dtype, [&](auto from) {
      with_type(op.y.dtype, [&](auto to) {
        const auto* x = op.x.as<const decltype(from)>() + first;
        auto* y = op.y.as<decltype(to)>() + first;
        Block{}.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { put<false>(y[i], to_float(x[i])); });
      });
    });
  });
}

void scale(Device& device, const Scale& op) {
  over_elements(device, op.size, [&](std::size_t first, std::size_t count) {
    with_type(op.x.dtype, [&](auto type) {
      auto* x = op.x.as<decltype(type)>() + first;
      Block{}.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { put<false>(x[i], to_float(x[i]) * op.factor); });
    });
  });
}

void accumulate(Device&, const Accumulate& op) {
  with_type(op.from.dtype, [&](auto type) {
    const auto* from = op.from.as<const decltype(type)>();
    float* sum = op.sum;
    Block{}.each(op.size, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { sum[i] += to_float(from[i]); });
  });
}

void dropout(Device& device, const Dropout& op) {
  over_elements(device, op.size, [&](std::size_t first, std::size_t count) {
    with_target(op.y, [&](auto type, auto mode) {
      using T = decltype(type);
      const T* x = op.x.as<const T>() + first;
      T* y = op.y.as<T>() + first;
      const float probability = op.probability, rest = 1.0f - probability;
      for (std::size_t begin = 0; begin < count; begin += numbers) {
        std::uint32_t words[4][groups], drawn[numbers];
        functors::philox_groups(op.key, (first + begin) / 4, words);
        for (std::size_t i = 0; i < groups; ++i)
          for (std::size_t word = 0; word < 4; ++word) drawn[4 * i + word] = words[word][i];
        const auto element = [&](std::size_t i) TRANCHE_ALWAYS_INLINE {
          const float scaled = to_float(x[begin + i]) / rest;
          put<mode.adds>(y[begin + i], functors::kept(drawn[i], probability) ? scaled : 0.0f);
        };
        if (count - begin >= numbers)
          Block{}.each(numbers, element);
        else
          Block{}.each(count - begin, element);
      }
    });
  });
}

// Elements 4g .. 4g + 3 of a normal stream are the two pairs of the four numbers of group g. Groups are drawn as they
// lie in the stream, wherever the tensor's first element is among them.
void fill_normal(Device& device, const FillNormal& op) {
  const std::size_t lead = op.first % numbers;  // of the stream, before the tensor's first element
  const std::uint64_t origin = op.first - lead;
  in_pieces(device, op.size + lead, tile_elements, [&](std::size_t first, std::size_t count) {
    for (std::size_t begin = first; begin < first + count; begin += numbers) {
      std::uint32_t words[4][groups];
      functors::philox_groups(op.key, (origin + begin) / 4, words);
      float drawn[4][groups], normals[numbers];
      for (std::size_t i = 0; i < groups; ++i) {
        const functors::CosineSine low = functors::normal_pair(words[0][i], words[1][i]);
        const functors::CosineSine high = functors::normal_pair(words[2][i], words[3][i]);
        drawn[0][i] = op.mean + op.deviation * low.cosine;
        drawn[1][i] = op.mean + op.deviation * low.sine;
        drawn[2][i] = op.mean + op.deviation * high.cosine;
        drawn[3][i] = op.mean + op.deviation * high.sine;
      }
      for (std::size_t i = 0; i < groups; ++i)
        for (std::size_t word = 0; word < 4; ++word) normals[4 * i + word] = drawn[word][i];
      const std::size_t from = begin < lead ? lead - begin : 0;
      const std::size_t end = op.size + lead - begin < numbers ? op.size + lead - begin : numbers;
      if (from < end) __builtin_memcpy(op.x + (begin + from - lead), normals + from, (end - from) * sizeof(float));
    }
  });
}

void fill_constant(Device& device, const FillConstant& op) {
  over_elements(device, op.size, [&](std::size_t first, std::size_t count) {
    with_type(op.x.dtype, [&](auto type) {
      auto* x = op.x.as<decltype(type)>() + first;
      Block{}.each(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { put<false>(x[i], op.value); });
    });
  });
}

}  // namespace

ElementwiseKernels elementwise_kernels();
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

}  // namespace tranche::ops::TRANCHE_PATH
