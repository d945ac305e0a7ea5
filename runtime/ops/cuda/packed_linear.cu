// Products with packed weights: exact integer sums, and one element's own arithmetic as on the CPU.
#include "runtime/ops/functors/packed_linear.h"

#include "runtime/ops/cuda/launch.cuh"
#include "runtime/ops/cuda/table.h"

namespace tranche::ops::cuda {

inline constexpr std::size_t block_outputs = PackedShape::block;

struct PackByte {
  PackWeight a;
  __device__ void operator()(std::size_t i) const {
    a.weight.values[i] = functors::packed_byte(a.weight.shape, a.q, i);
  }
};
struct PackGroup {
  PackWeight a;
  __device__ void operator()(std::size_t i) const {
    const functors::PackedGroup group = functors::packed_group(a.weight.shape, a.q, a.scales, i);
    a.weight.scales[i] = group.scale, a.weight.sums[i] = group.sum;
  }
};
void pack(Device& device, const PackWeight& a) {
  over_elements(device, a.weight.shape.bytes(), PackByte{a});
  over_elements(device, a.weight.shape.scales(), PackGroup{a});
}

struct SplitRow {
  SplitRows a;
  __device__ void operator()(const Block& block, std::size_t row) const {
    std::uint8_t* q = a.q + 2 * row * a.stride;
    functors::split_row(block, a.cols, a.stride, a.x + row * a.cols, q, q + a.stride, a.scales + row);
  }
};
void split_rows(Device& device, const SplitRows& a) { over_rows(device, a.rows, a.cols, SplitRow{a}); }

// A thread block computes the sixteen outputs of a block of the weight for one row of x. Thread (part, output) takes
// the pieces part, part + parts, ... of the columns.
inline constexpr unsigned parts = 8;
inline constexpr std::size_t piece_columns = 128;  // of bytes; of words a piece is a group

// The sum of x[k] w[k, output] over columns begin .. end of the weight's block at `values`; begin is a multiple of the
// granule.
__device__ inline std::int32_t dot(const PackedShape& shape, const std::uint8_t* x, const std::byte* values,
                                   std::size_t output, std::size_t begin, std::size_t end) {
  const std::size_t columns = functors::packed_columns(shape);
  std::int32_t sum = 0;
  for (std::size_t k = begin; k < end; k += columns) {
    const std::byte* four = values + k / columns * 64 + output * 4;
    for (std::size_t i = 0; i < 4; ++i) {
      const auto byte = static_cast<std::uint8_t>(four[i]);
      for (unsigned part = 0; part < functors::packed_parts(shape.bits); ++part)
        sum += x[k + i + 4 * part] * functors::packed_value(shape.bits, byte, part);
    }
  }
  return sum;
}

__device__ inline void put_output(const PackedProduct& a, std::size_t output, std::size_t row, float sum) {
  if (output < a.weight.shape.out)
    a.y[row * a.weight.shape.out + output] = sum * a.scales[row] + (a.bias != nullptr ? a.bias[output] : 0.0f);
}

__global__ void bytes_product_kernel(PackedProduct a) {
  const PackedShape& shape = a.weight.shape;
  const std::size_t part = threadIdx.x / block_outputs, output = threadIdx.x % block_outputs, block = blockIdx.x;
  const std::size_t row = blockIdx.y, stride = shape.padded_in();
  const std::byte* values = a.weight.values + block * functors::packed_block_bytes(shape);
  std::int32_t sum = 0;
  for (std::size_t begin = part * piece_columns; begin < stride; begin += parts * piece_columns) {
    const std::size_t end = begin + piece_columns < stride ? begin + piece_columns : stride;
    sum += dot(shape, a.q + row * stride, values, output, begin, end);
  }
  TRANCHE_SHARED(std::int32_t, sums, parts * block_outputs);
  sums[threadIdx.x] = sum;
  __syncthreads();
  if (part != 0) return;
  for (std::size_t p = 1; p < parts; ++p) sum += sums[p * block_outputs + output];
  const std::size_t at = block * block_outputs + output;
  put_output(a, at, row, static_cast<float>(sum - a.zeros[row] * a.weight.sums[at]) * a.weight.scales[at]);
}

__global__ void words_product_kernel(PackedProduct a) {
  const PackedShape& shape = a.weight.shape;
  const std::size_t part = threadIdx.x / block_outputs, output = threadIdx.x % block_outputs, block = blockIdx.x;
  const std::size_t row = blockIdx.y, stride = shape.padded_in(), groups = shape.groups();
  const std::byte* values = a.weight.values + block * functors::packed_block_bytes(shape);
  const std::uint8_t* upper = a.q + 2 * row * stride;
  TRANCHE_SHARED(float, terms, parts* block_outputs);
  float sum = 0;  // part 0's: over the groups in their order
  for (std::size_t first = 0; first < groups; first += parts) {
    if (const std::size_t group = first + part; group < groups) {
      const std::size_t begin = group * shape.group, left = stride - begin;
      const std::size_t end = begin + (left < shape.group ? left : shape.group);
      const std::size_t at = (block * groups + group) * block_outputs + output;
      const std::int32_t exact = dot(shape, upper, values, output, begin, end) * 256 +
                                 dot(shape, upper + stride, values, output, begin, end) -
                                 a.weight.sums[at] * functors::middle_word;
      terms[threadIdx.x] = static_cast<float>(exact) * a.weight.scales[at];
    }
    __syncthreads();
    if (part == 0)
      for (std::size_t p = 0; p < parts && first + p < groups; ++p) sum += terms[p * block_outputs + output];
    __syncthreads();
  }
  if (part == 0) put_output(a, block * block_outputs + output, row, sum);
}

// A grid has at most 65,535 blocks in its second dimension.
void product(Device& device, const PackedProduct& a) {
  constexpr std::size_t most_rows = 65535;
  const auto blocks = static_cast<unsigned>(a.weight.shape.blocks());
  if (blocks == 0) return;
  for (std::size_t first = 0; first < a.rows; first += most_rows) {
    PackedProduct some = a;
    some.rows = a.rows - first < most_rows ? a.rows - first : most_rows;
    some.q = a.q + (a.zeros == nullptr ? 2 : 1) * first * a.weight.shape.padded_in();
    some.scales = a.scales + first;
    some.y = a.y + first * a.weight.shape.out;
    const dim3 grid(blocks, static_cast<unsigned>(some.rows));
    if (a.zeros == nullptr) {
      TRANCHE_LAUNCH(words_product_kernel, grid, parts * block_outputs, stream_of(device), some);
    } else {
      some.zeros = a.zeros + first;
      TRANCHE_LAUNCH(bytes_product_kernel, grid, parts * block_outputs, stream_of(device), some);
    }
  }
}

struct UnpackRow {
  PackedRows a;
  __device__ void operator()(const Block& block, std::size_t i) const {
    const PackedShape& shape = a.table.shape;
    const std::size_t row = static_cast<std::size_t>(a.numbers[i]);
    const float* scales = a.table.scales + row / block_outputs * shape.groups() * block_outputs + row % block_outputs;
    float* y = a.y + i * shape.in;
    block.each(shape.in, [&](std::size_t c) {
      y[c] = static_cast<float>(functors::packed_value_at(shape, a.table.values, row, c)) *
             scales[c / shape.group * block_outputs];
    });
  }
};
void packed_rows(Device& device, const PackedRows& a) { over_rows(device, a.count, a.table.shape.in, UnpackRow{a}); }

PackedKernels packed_kernels() {
  return {.pack = pack, .split_rows = split_rows, .product = product, .rows = packed_rows};
}

}  // namespace tranche::ops::cuda
