// Whole pieces of a size.
#pragma once

#include <cstddef>

namespace tranche {

// How many pieces of `piece` hold `size`.
constexpr std::size_t pieces_of(std::size_t size, std::size_t piece) { return (size + piece - 1) / piece; }

// `size` made a multiple of `multiple`.
constexpr std::size_t padded(std::size_t size, std::size_t multiple) { return pieces_of(size, multiple) * multiple; }

}  // namespace tranche
