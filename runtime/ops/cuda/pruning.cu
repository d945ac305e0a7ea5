// Masks are integers alone, and what is float is one element's own, so that both give the CPU's bits; no counter is
// shared by two threads.
#include "runtime/ops/pruning.h"

#include <array>
#include <span>

#include "runtime/device/device.h"
#include "runtime/ops/cuda/launch.cuh"
#include "runtime/ops/cuda/table.h"
#include "runtime/ops/functors/pruning.h"

namespace tranche::ops::cuda {

using functors::key_of;

template <class T> struct ZeroPruned {
  const float* pruned;
  T* values;
  __device__ void operator()(std::size_t i) const {
    if (pruned[i] != 0) values[i] = T{};
  }
};
void zero_where(Device& device, const ZeroWhere& a) {
  with_type(a.values.dtype, [&](auto type) {
    using T = decltype(type);
    over_elements(device, a.size, ZeroPruned<T>{a.pruned, a.values.as<T>()});
  });
}

// Each thread counts in bytes of its own, (digits, threads) in shared memory, and looks at no more elements than a byte
// can count.
inline constexpr unsigned counting_threads = 128;
inline constexpr std::size_t counted_by_block = 255 * counting_threads;

__global__ void count_keys_kernel(CountKeys a, std::uint32_t* counts) {  // counts: (blocks, digits)
  TRANCHE_SHARED(std::uint8_t, mine, key_digits * counting_threads);
  for (std::size_t digit = 0; digit < key_digits; ++digit) mine[digit * counting_threads + threadIdx.x] = 0;
  const std::size_t begin = blockIdx.x * counted_by_block, left = a.size - begin;
  const std::size_t end = begin + (left < counted_by_block ? left : counted_by_block);
  for (std::size_t i = begin + threadIdx.x; i < end; i += counting_threads) {
    const std::uint64_t key = key_of(a.order, a.values[i], a.pruned[i]);
    if (key >> (a.shift + key_digit_bits) == a.prefix)
      ++mine[(key >> a.shift & (key_digits - 1)) * counting_threads + threadIdx.x];
  }
  __syncthreads();
  for (std::size_t digit = threadIdx.x; digit < key_digits; digit += counting_threads) {
    std::uint32_t count = 0;
    for (unsigned thread = 0; thread < counting_threads; ++thread) count += mine[digit * counting_threads + thread];
    counts[blockIdx.x * key_digits + digit] = count;
  }
}

struct AddCounts {
  const std::uint32_t* counts;  // (blocks, digits)
  std::size_t blocks;
  std::uint64_t* sums;  // (digits)
  __device__ void operator()(std::size_t digit) const {
    std::uint64_t sum = 0;
    for (std::size_t b = 0; b < blocks; ++b) sum += counts[b * key_digits + digit];
    sums[digit] = sum;
  }
};

// Waits for the device.
void count_keys(Device& device, const CountKeys& a) {
  if (a.size == 0) return;
  const std::size_t blocks = pieces_of(a.size, counted_by_block);
  const Buffer counts =
      device.allocate(blocks * key_digits * sizeof(std::uint32_t), Category::workspace, "count_keys' counts of blocks");
  const Buffer sums = device.allocate(key_digits * sizeof(std::uint64_t), Category::workspace, "count_keys' counts");
  auto* const of_blocks = reinterpret_cast<std::uint32_t*>(counts.data());
  TRANCHE_LAUNCH(count_keys_kernel, static_cast<unsigned>(blocks), counting_threads, stream_of(device), a, of_blocks);
  over_elements(device, key_digits, AddCounts{of_blocks, blocks, reinterpret_cast<std::uint64_t*>(sums.data())});
  std::array<std::uint64_t, key_digits> all;
  device.read(sums.data(), std::as_writable_bytes(std::span{all}));
  for (std::size_t digit = 0; digit < key_digits; ++digit) a.counts[digit] += all[digit];
}

// Ties go in the order of elements: each block learns how many there are before its piece.
inline constexpr std::size_t piece = 4096;

__device__ inline std::size_t size_of_piece(std::size_t size, std::size_t nth) {
  const std::size_t left = size - nth * piece;
  return left < piece ? left : piece;
}

struct CountTies {
  PruneBelow a;
  std::uint32_t* ties;  // (pieces)
  __device__ void operator()(const Block& block, std::size_t nth) const {
    const std::size_t first = nth * piece;
    const auto is_tie = [&](std::size_t i) {
      return key_of(a.order, a.values[first + i], a.pruned[first + i]) == a.threshold ? 1u : 0u;
    };
    const std::uint32_t count = block.sum(size_of_piece(a.size, nth), is_tie);
    block.single([&] { ties[nth] = count; });
  }
};

// before[p] = the sum of ties[q] for q < p. By one thread: pieces are few.
struct AddBefore {
  const std::uint32_t* ties;
  std::size_t pieces;
  std::uint64_t* before;
  __device__ void operator()(std::size_t) const {
    std::uint64_t sum = 0;
    for (std::size_t p = 0; p < pieces; ++p) {
      before[p] = sum;
      sum += ties[p];
    }
  }
};

// Each round looks at as many elements as there are threads; a vote of each warp says which are ties.
struct PrunePiece {
  PruneBelow a;
  const std::uint64_t* before;  // (pieces)
  __device__ void operator()(const Block&, std::size_t nth) const {
    TRANCHE_SHARED(unsigned, votes, most_warps);
    const std::size_t first = nth * piece, count = size_of_piece(a.size, nth);
    std::uint64_t taken = before[nth];
    for (std::size_t from = 0; from < count; from += blockDim.x) {
      const std::size_t i = first + from + threadIdx.x;
      const bool inside = from + threadIdx.x < count;
      const std::uint32_t key = inside ? key_of(a.order, a.values[i], a.pruned[i]) : 0u;
      const bool tie = inside && key == a.threshold;
      const unsigned vote = __ballot_sync(all_lanes, tie);
      __syncthreads();  // after the round before
      const unsigned warp = threadIdx.x / warp_size, lane = threadIdx.x % warp_size;
      if (lane == 0) votes[warp] = vote;
      __syncthreads();
      std::uint64_t mine = taken + static_cast<unsigned>(std::popcount(vote & ((1u << lane) - 1u)));
      for (unsigned w = 0; w < blockDim.x / warp_size; ++w) {
        const auto ties = static_cast<unsigned>(std::popcount(votes[w]));
        taken += ties;
        if (w < warp) mine += ties;
      }
      if (inside && (key < a.threshold || (tie && mine < a.ties))) a.pruned[i] = 1;
    }
  }
};

void below(Device& device, const PruneBelow& a) {
  const std::size_t pieces = pieces_of(a.size, piece);
  if (pieces == 0) return;
  const Buffer ties = device.allocate(pieces * sizeof(std::uint32_t), Category::workspace, "prune_below's ties");
  const Buffer before = device.allocate(pieces * sizeof(std::uint64_t), Category::workspace, "prune_below's places");
  auto* const of_pieces = reinterpret_cast<std::uint32_t*>(ties.data());
  auto* const places = reinterpret_cast<std::uint64_t*>(before.data());
  over_rows(device, pieces, piece, CountTies{a, of_pieces});
  over_elements(device, 1, AddBefore{of_pieces, pieces, places});
  over_rows(device, pieces, piece, PrunePiece{a, places});
}

// A block has whole groups, and their keys are read before any is pruned.
inline constexpr std::size_t keys_together = 256;

struct PruneGroups {
  PruneSmallest a;
  std::size_t together;  // groups of a block
  __device__ void operator()(const Block& block, std::size_t nth) const {
    TRANCHE_SHARED(std::uint32_t, keys, keys_together);
    const std::size_t first = nth * together * a.of, left = a.groups * a.of - first;
    const std::size_t count = left < together * a.of ? left : together * a.of;
    block.each(count, [&](std::size_t i) { keys[i] = key_of(a.order, a.values[first + i], a.pruned[first + i]); });
    block.each(count, [&](std::size_t i) {
      const std::size_t group = i / a.of * a.of;
      std::size_t before = 0;  // elements that are to be pruned before this one
      for (std::size_t j = group; j < group + a.of; ++j)
        before += keys[j] < keys[i] || (keys[j] == keys[i] && j < i) ? 1 : 0;
      if (before < a.count) a.pruned[first + i] = 1;
    });
  }
};
void smallest(Device& device, const PruneSmallest& a) {
  const std::size_t together = keys_together / a.of;
  over_rows(device, pieces_of(a.groups, together), 4 * keys_together, PruneGroups{a, together});
}

struct MoveScore {
  AddMovement a;
  __device__ void operator()(std::size_t i) const {
    a.scores[i] = functors::moved(a.scores[i], a.rate, a.weights[i], a.gradient[i]);
  }
};
void movement(Device& device, const AddMovement& a) { over_elements(device, a.size, MoveScore{a}); }

struct PenaliseGradient {
  AddPenalty a;
  __device__ void operator()(std::size_t i) const {
    a.gradient[i] = functors::penalised(a.gradient[i], a.l1, a.l2, a.weights[i]);
  }
};
void penalty(Device& device, const AddPenalty& a) { over_elements(device, a.size, PenaliseGradient{a}); }

PruningKernels pruning_kernels() {
  return {.zero_where = zero_where,
          .count_keys = count_keys,
          .below = below,
          .smallest = smallest,
          .movement = movement,
          .penalty = penalty};
}

}  // namespace tranche::ops::cuda
