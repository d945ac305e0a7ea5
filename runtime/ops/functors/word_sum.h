// A sum of memory that a pass over it makes on the way: two integer additions for each vector, far less than another
// reading of it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/ops/functors/functor.h"

namespace tranche::ops::functors {

// Words of 32 bits, sixteen at a time: of each lane the sum of its words and the sum of those sums, modulo 2^32
// (Fletcher 1982). A change within one word always changes the value, and almost any other does. The value depends on
// the bytes and their order alone; `width` is that of the registers which it is computed in, 16 or 32 bytes.
template <std::size_t width> class WordSum {
 public:
  static constexpr std::size_t lanes = 16, stride = lanes * sizeof(std::uint32_t);

  // bytes: a multiple of `stride`.
  TRANCHE_FUNCTOR void add(const void* from, std::size_t bytes) {
    // Two registers of lanes at a time: compilers keep more of them in memory.
    for (std::size_t r = 0; r < registers; r += 2) {
      Lanes words = words_[r], sums = sums_[r], more_words = words_[r + 1], more_sums = sums_[r + 1];
      const char* last = static_cast<const char*>(from) + bytes;
      for (const char* at = static_cast<const char*>(from) + r * width; at < last; at += stride) {
        Lanes read, more;
        __builtin_memcpy(&read, at, width);
        __builtin_memcpy(&more, at + width, width);
        words += read, more_words += more;
        sums += words, more_sums += more_words;
      }
      words_[r] = words, sums_[r] = sums, words_[r + 1] = more_words, sums_[r + 1] = more_sums;
    }
  }

  TRANCHE_FUNCTOR std::uint64_t value() const {
    std::uint64_t value = 0;
    for (std::size_t lane = 0; lane < lanes; ++lane) {  // each step is one to one, in the lane and in what came before
      const std::size_t r = lane / of_register, l = lane % of_register;
      value = (value ^ (std::uint64_t{sums_[r][l]} << 32 | words_[r][l])) * 0x9E3779B97F4A7C15u;
      value ^= value >> 32;
    }
    return value;
  }

 private:
  using Lanes [[gnu::vector_size(width)]] = std::uint32_t;
  static constexpr std::size_t registers = stride / width, of_register = lanes / registers;
  Lanes words_[registers] = {}, sums_[registers] = {};
};

}  // namespace tranche::ops::functors
