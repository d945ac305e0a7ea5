#include "runtime/ops/kernels/sparse_linear.h"
#include "runtime/ops/cpu/sparse_sums.h"
#include "runtime/ops/cpu/tiles.h"
#include "runtime/ops/functors/sparse_linear.h"

namespace tranche::ops::TRANCHE_PATH {
namespace {

constexpr std::size_t outputs_of_block = SparseShape::block;
constexpr std::size_t blocks_in_tile = 4;

template <class Work> TRANCHE_INLINE void over_blocks(Device& device, const SparseShape& shape, const Work& work) {
  in_pieces(device, shape.blocks(), blocks_in_tile, [&](std::size_t first, std::size_t count) {
    for (std::size_t block = first; block < first + count; ++block) work(block);
  });
}

void find(Device& device, const FindPlaces& a) {
  const SparseShape& shape = a.weight.shape;
  over_blocks(device, shape, [&](std::size_t block) {
    std::uint16_t* places = a.weight.places + block * shape.in;
    std::uint64_t count = 0;
    for (std::size_t col = 0; col < shape.in; ++col) {
      places[col] = functors::places_of(shape, a.dense, block, col);
      count += functors::count_of(places[col]);
    }
    a.weight.starts[block] = count;
  });
  std::uint64_t sum = 0;
  for (std::size_t block = 0; block < shape.blocks(); ++block) {
    const std::uint64_t count = a.weight.starts[block];
    a.weight.starts[block] = sum;
    sum += count;
  }
  a.weight.starts[shape.blocks()] = sum;
}

// see(row, col, value) for the values of a block, as they lie.
template <class Value, class See>
TRANCHE_INLINE void over_values(const SparseElements& weight, std::size_t block, Value* values, const See& see) {
  const std::uint16_t* places = weight.places + block * weight.shape.in;
  Value* next = values + weight.starts[block];
  for (std::size_t col = 0; col < weight.shape.in; ++col)
    for (unsigned left = places[col]; left != 0; left &= left - 1)
      see(block * outputs_of_block + static_cast<std::size_t>(__builtin_ctz(left)), col, *next++);
}

void store(Device& device, const StoreValues& a) {
  const std::size_t in = a.weight.shape.in;
  over_blocks(device, a.weight.shape, [&](std::size_t block) {
    over_values(a.weight, block, a.weight.values,
                [&](std::size_t row, std::size_t col, float& value) { value = a.dense[row * in + col]; });
  });
}

void expand(Device& device, const SparseExpansion& a) {
  const SparseShape& shape = a.weight.shape;
  over_blocks(device, shape, [&](std::size_t block) {
    float* first = a.dense + block * outputs_of_block * shape.in;
    for (std::size_t i = 0; i < functors::rows_of_block(shape, block) * shape.in; ++i) first[i] = 0;
    const float* values = a.weight.values;
    over_values(a.weight, block, values,
                [&](std::size_t row, std::size_t col, const float& value) { a.dense[row * shape.in + col] = value; });
  });
}

// `count` blocks with some rows of x.
void multiply(const SparseProduct& a, std::size_t block, std::size_t count, std::size_t row, std::size_t rows) {
  const SparseShape& shape = a.weight.shape;
  float sums[most_sparse_blocks * most_sparse_rows * outputs_of_block];
  SparseSums all{.x = a.x + row * shape.in,
                 .stride = shape.in,
                 .rows = rows,
                 .cols = shape.in,
                 .blocks = count,
                 .places = {},
                 .values = {},
                 .sums = sums};
  for (std::size_t b = 0; b < count; ++b) {
    all.places[b] = a.weight.places + (block + b) * shape.in;
    all.values[b] = a.weight.values + a.weight.starts[block + b];
  }
  sparse_sums(all);
  for (std::size_t b = 0; b < count; ++b)
    for (std::size_t r = 0; r < rows; ++r) {
      const std::size_t first = (block + b) * outputs_of_block;
      const float* from = sums + (b * rows + r) * outputs_of_block;
      float* y = a.y + (row + r) * shape.out + first;
      for (std::size_t o = 0; o < functors::rows_of_block(shape, block + b); ++o)
        y[o] = a.bias != nullptr ? from[o] + a.bias[first + o] : from[o];
    }
}

void product(Device& device, const SparseProduct& a) {
  in_pieces(device, a.weight.shape.blocks(), blocks_in_tile, [&](std::size_t first, std::size_t count) {
    for (std::size_t b = 0; b < count; b += most_sparse_blocks)
      for (std::size_t row = 0; row < a.rows; row += most_sparse_rows) {
        const std::size_t blocks = count - b < most_sparse_blocks ? count - b : most_sparse_blocks;
        const std::size_t rows = a.rows - row < most_sparse_rows ? a.rows - row : most_sparse_rows;
        multiply(a, first + b, blocks, row, rows);
      }
  });
}

void rows(Device& device, const SparseRows& a) {
  const std::size_t in = a.table.shape.in;
  over_rows(device, a.count, in, [&](std::size_t i) {
    const auto number = static_cast<std::size_t>(a.numbers[i]);
    const std::size_t block = number / outputs_of_block, row = number % outputs_of_block;
    const std::uint16_t* places = a.table.places + block * in;
    const float* values = a.table.values + a.table.starts[block];
    for (std::size_t col = 0; col < in; ++col) {
      a.y[i * in + col] = functors::has(places[col], row) ? values[functors::count_before(places[col], row)] : 0;
      values += functors::count_of(places[col]);
    }
  });
}

}  // namespace

SparseKernels sparse_kernels();
SparseKernels sparse_kernels() {
  return {.find = find, .store = store, .product = product, .expand = expand, .rows = rows};
}

}  // namespace tranche::ops::TRANCHE_PATH
