#include "runtime/tensor/tensor.h"

namespace tranche {

void Storage::allocate() {
  if (!allocated()) buffer_ = device_.allocate(count_ * bytes_of(dtype_), category_, name_);
}

void Storage::take_bytes_of(Storage& other) {
  check(other.category_ == category_ && other.count_ == count_ && other.dtype_ == dtype_, name_,
        " cannot take the bytes of ", other.name_);
  buffer_ = std::move(other.buffer_);
}

Tensor Tensor::empty(Device& device, std::string name, Category category, Shape shape, DType dtype) {
  Tensor tensor{std::make_shared<Storage>(device, std::move(name), category, shape.size(), dtype), 0, shape};
  tensor.storage_->allocate();
  return tensor;
}

Tensor Tensor::zeros(Device& device, std::string name, Category category, Shape shape, DType dtype) {
  return empty(device, std::move(name), category, shape, dtype).fill_zero();
}

const Tensor& Tensor::fill_zero() const {
  if (size() != 0) device().fill_zero(data(), bytes());  // zero bits are zero in every dtype
  return *this;
}

Tensor Tensor::on_host() const {
  Device& host = device().staging();
  if (&host == &device()) return detached();
  const Tensor copy = empty(host, name() + " on the host", storage_->category(), shape_, dtype());
  device().read(data(), copy.byte_span());
  return copy;
}

void Tensor::assign(std::span<const std::byte> from) const {
  check(from.size() == bytes(), name(), " of ", bytes(), " bytes cannot become ", from.size());
  if (from.data() != data()) device().write(data(), from);
}

Tensor Tensor::view(std::size_t first, Shape part) const {
  check(first + part.size() <= size(), name(), ": a view of ", part, " at ", first, " does not fit in ", shape_);
  return {storage_, offset_ + first, part};
}

Tensor Tensor::reshaped(Shape shape) const {
  check(shape.size() == size(), name(), ": ", shape_, " cannot be seen as ", shape);
  Tensor same = *this;
  same.shape_ = shape;
  return same;
}

}  // namespace tranche
