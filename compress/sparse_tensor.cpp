#include "compress/sparse_tensor.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "compress/observer.h"
#include "runtime/base/error.h"
#include "runtime/base/round.h"

namespace tranche::compress {
namespace {

bool is_stored(float value) { return std::bit_cast<std::uint32_t>(value) != 0; }

bool has_two_of_four(const Shape& shape, std::span<const float> values) {
  if (shape.dimensions() != 2 || shape.cols() % 4 != 0) return false;
  for (std::size_t first = 0; first < values.size(); first += 4)
    if (std::ranges::count_if(values.subspan(first, 4), is_stored) > 2) return false;
  return true;
}

// Of bitmap or indices, which come before the values: in either form one bit an element.
std::size_t index_bytes(const Shape& shape) { return pieces_of(shape.size(), 8); }

void put(PackedTensor& tensor, std::size_t index, float value) {
  std::memcpy(tensor.values.data() + index_bytes(tensor.shape) + index * sizeof(float), &value, sizeof(float));
}
float value_at(const PackedTensor& tensor, std::size_t index) {
  float value = 0;
  std::memcpy(&value, tensor.values.data() + index_bytes(tensor.shape) + index * sizeof(float), sizeof(float));
  return value;
}

void store_bitmap(PackedTensor& tensor, std::span<const float> values) {
  for (std::size_t i = 0, next = 0; i < values.size(); ++i) {
    if (!is_stored(values[i])) continue;
    tensor.values[i / 8] |= static_cast<std::byte>(1u << i % 8);
    put(tensor, next++, values[i]);
  }
}

void store_two_of_four(PackedTensor& tensor, std::span<const float> values) {
  for (std::size_t group = 0; group < values.size() / 4; ++group) {
    const std::span<const float> four = values.subspan(4 * group, 4);
    std::size_t left = 2 - static_cast<std::size_t>(std::ranges::count_if(four, is_stored));  // zeros among the two
    unsigned indices = 0;
    for (unsigned i = 0, which = 0; i < 4; ++i) {
      if (!is_stored(four[i])) {
        if (left == 0) continue;
        --left;
      }
      indices |= i << 2 * which;
      put(tensor, 2 * group + which++, four[i]);
    }
    tensor.values[group / 2] |= static_cast<std::byte>(indices << group % 2 * 4);
  }
}

void read_bitmap(const PackedTensor& tensor, const std::string& where, std::span<float> elements) {
  std::size_t next = 0;
  for (std::size_t i = 0; i < pieces_of(elements.size(), 8) * 8; ++i) {
    if ((tensor.values[i / 8] >> i % 8 & std::byte{1}) == std::byte{0}) continue;
    ensure(Exit::checkpoint, i < elements.size() && next < tensor.stored, where, ": its bitmap has more bits than the ",
           tensor.stored, " values that are stored, or one beyond its last element");
    elements[i] = value_at(tensor, next++);
  }
  ensure(Exit::checkpoint, next == tensor.stored, where, ": its bitmap has ", next, " bits for ", tensor.stored,
         " values");
}

void read_two_of_four(const PackedTensor& tensor, const std::string& where, std::span<float> elements) {
  for (std::size_t group = 0; group < elements.size() / 4; ++group) {
    const unsigned indices = static_cast<unsigned>(tensor.values[group / 2]) >> group % 2 * 4;
    const unsigned first = indices & 3u, second = indices >> 2 & 3u;
    ensure(Exit::checkpoint, first < second, where, ": the indices of group ", group, " are ", first, " and ", second,
           ", which do not rise");
    elements[4 * group + first] = value_at(tensor, 2 * group);
    elements[4 * group + second] = value_at(tensor, 2 * group + 1);
  }
}

}  // namespace

std::size_t sparse_bytes(const Shape& shape, std::size_t stored) { return index_bytes(shape) + stored * sizeof(float); }

PackedTensor pack_sparse(const std::string& name, const Shape& shape, std::span<const float> values) {
  check(values.size() == shape.size(), name, ": ", values.size(), " values of shape ", shape);
  min_max(values, ops::QuantizationGrid::per_tensor(values.size()), name);  // all finite
  PackedTensor tensor{.name = name, .shape = shape};
  const auto several = static_cast<std::size_t>(std::ranges::count_if(values, is_stored));
  const bool two_of_four = has_two_of_four(shape, values) && shape.size() / 2 <= several;
  tensor.stored = two_of_four ? shape.size() / 2 : several;
  if (sparse_bytes(shape, tensor.stored) >= values.size_bytes()) {
    tensor.stored = 0;
    tensor.values.assign(std::as_bytes(values).begin(), std::as_bytes(values).end());
    return tensor;
  }
  tensor.form = two_of_four ? TensorForm::two_of_four : TensorForm::bitmap;
  tensor.values.assign(tensor.value_bytes(), std::byte{0});
  if (two_of_four)
    store_two_of_four(tensor, values);
  else
    store_bitmap(tensor, values);
  return tensor;
}

void unpack_sparse(const PackedTensor& tensor, const std::string& where, std::span<float> elements) {
  check(elements.size() == tensor.shape.size(), tensor.name, ": ", elements.size(), " elements of shape ",
        tensor.shape);
  std::ranges::fill(elements, 0.0f);
  if (tensor.form == TensorForm::two_of_four)
    read_two_of_four(tensor, where, elements);
  else
    read_bitmap(tensor, where, elements);
}

void check_stored(const PackedTensor& tensor, const std::string& where) {
  const std::size_t size = tensor.shape.size();
  ensure(Exit::checkpoint, tensor.stored <= size, where, ": ", tensor.stored, " of ", size, " values are stored");
  ensure(Exit::checkpoint,
         tensor.form == TensorForm::bitmap ||
             (tensor.shape.dimensions() == 2 && tensor.shape.cols() % 4 == 0 && tensor.stored == size / 2),
         where, ": two of four are stored of shape ", tensor.shape, ", and ", tensor.stored, " in all");
}

}  // namespace tranche::compress
