// Rows of text as columns.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace tranche {

using Row = std::vector<std::string>;

// A line for each row, of which there is one at least, all of as many cells. The first `left` columns begin at their
// left, the others end at their right; a cell that begins with two spaces begins at its left anyway. No line break at
// the end.
std::string aligned(const std::vector<Row>& rows, std::size_t left);

}  // namespace tranche
