// The shape of a tensor: at most four dimensions, outermost first.
#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>
#include <ostream>
#include <span>

#include "runtime/base/error.h"

namespace tranche {

class Shape {
 public:
  static constexpr std::size_t max_dimensions = 4;

  Shape() = default;
  Shape(std::initializer_list<std::size_t> sizes) : Shape(std::span{sizes.begin(), sizes.size()}) {}
  explicit Shape(std::span<const std::size_t> sizes) : dimensions_(sizes.size()) {
    check(sizes.size() <= max_dimensions, "a shape has at most ", max_dimensions, " dimensions, not ", sizes.size());
    for (std::size_t d = 0; d < dimensions_; ++d) sizes_[d] = sizes[d];
  }

  std::size_t dimensions() const { return dimensions_; }
  std::size_t operator[](std::size_t dimension) const { return sizes_[dimension]; }
  std::span<const std::size_t> sizes() const { return {sizes_.data(), dimensions_}; }

  // Elements in all; 1 for no dimensions.
  std::size_t size() const {
    std::size_t product = 1;
    for (const std::size_t s : sizes()) product *= s;
    return product;
  }
  // As a matrix: the last dimension, and all before it together.
  std::size_t cols() const { return dimensions_ == 0 ? 1 : sizes_[dimensions_ - 1]; }
  std::size_t rows() const { return cols() == 0 ? 0 : size() / cols(); }

  friend bool operator==(const Shape&, const Shape&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Shape& shape) {
    out << '[';
    for (std::size_t d = 0; d < shape.dimensions_; ++d) out << (d == 0 ? "" : ", ") << shape.sizes_[d];
    return out << ']';
  }

 private:
  std::array<std::size_t, max_dimensions> sizes_{};
  std::size_t dimensions_ = 0;
};

}  // namespace tranche
