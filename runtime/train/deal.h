// Which micro-batches of a step a rank computes.
#pragma once

#include <cstddef>
#include <vector>

namespace tranche {

// A step has `micro_batches`, numbered from 0; blocks of `block` consecutive ones are dealt out to `ranks` in turn, so
// that every round brings one block from each rank, in order. micro_batches must be a multiple of ranks * block.
struct Deal {
  std::size_t micro_batches = 1, ranks = 1, block = 1;

  std::size_t rounds() const { return micro_batches / (ranks * block); }
  std::size_t per_rank() const { return micro_batches / ranks; }

  // In the order in which the rank computes them, which is rising.
  std::vector<std::size_t> of_rank(std::size_t rank) const {
    std::vector<std::size_t> numbers;
    for (std::size_t round = 0; round < rounds(); ++round)
      for (std::size_t i = 0; i < block; ++i) numbers.push_back((round * ranks + rank) * block + i);
    return numbers;
  }
};

}  // namespace tranche
