// Weights of which many are zero, as a packed file stores them.
#pragma once

#include <span>
#include <string>

#include "compress/packed_file.h"

namespace tranche::compress {

// bitmap: a bit for each element in row-major order, the first in the lowest bit of the first byte; then float32 values
// of those whose bit is set.
// two_of_four: for each four elements of a row two that are stored, as two rising indices of two bits, the first in the
// lower bits, of two groups in a byte the first in the lower half; then two float32 values for each group.

// In the form that takes the fewest bytes: one of those, or float32. Elements that are not stored become +0; all others
// keep their bits. Throws Exit::numerics for a value that is not finite.
PackedTensor pack_sparse(const std::string& name, const Shape& shape, std::span<const float> values);

// Every element.  elements: as many as the tensor has. Throws Exit::checkpoint, beginning with `where`, if the bitmap
// does not say as many as are stored, or indices do not rise.
void unpack_sparse(const PackedTensor& tensor, const std::string& where, std::span<float> elements);

// Bytes of values, in either form.
std::size_t sparse_bytes(const Shape& shape, std::size_t stored);
// Throws Exit::checkpoint, beginning with `where`, if no tensor of this form and shape stores so many.
void check_stored(const PackedTensor& tensor, const std::string& where);

}  // namespace tranche::compress
