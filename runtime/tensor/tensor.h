// Tensor: a cheap handle to shape, dtype and storage. Handles are copied freely; bytes are not.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "runtime/base/dtype.h"
#include "runtime/base/shape.h"
#include "runtime/device/device.h"

namespace tranche {

// Elements of one dtype whose bytes may come and go while handles stay: that is how a saved tensor may refer to a
// gathered parameter without keeping it alive. Reading released storage is an error, never stale data.
class Storage {
 public:
  Storage(Device& device, std::string name, Category category, std::size_t count, DType dtype)
      : device_(device), name_(std::move(name)), category_(category), count_(count), dtype_(dtype) {}
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  void allocate();  // uninitialised; nothing happens if the bytes are there
  void discard() { buffer_.reset(); }
  void take_bytes_of(Storage& other);  // of the same category, count and dtype
  bool allocated() const { return static_cast<bool>(buffer_); }

  std::byte* data() const {
    check(allocated(), name_, " is released: it was read outside a visit to its unit");
    return buffer_.data();
  }
  std::size_t count() const { return count_; }
  DType dtype() const { return dtype_; }
  const std::string& name() const { return name_; }
  Device& device() const { return device_; }
  Category category() const { return category_; }

 private:
  Device& device_;
  std::string name_;
  Category category_;
  std::size_t count_;
  DType dtype_;
  Buffer buffer_;
};

struct Variable;  // where its gradient gathers; see runtime/autograd/tape.h

// Contiguous, row-major. An empty handle (no storage) stands for "none".
class Tensor {
 public:
  Tensor() = default;
  Tensor(std::shared_ptr<Storage> storage, std::size_t offset, Shape shape)
      : storage_(std::move(storage)), offset_(offset), shape_(shape) {}

  static Tensor empty(Device& device, std::string name, Category category, Shape shape, DType dtype);
  static Tensor zeros(Device& device, std::string name, Category category, Shape shape, DType dtype);
  // An uninitialised activation beside this one.
  Tensor sibling(std::string name, Shape shape, DType dtype) const {
    return empty(device(), std::move(name), Category::activations, shape, dtype);
  }

  explicit operator bool() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  std::size_t size() const { return shape_.size(); }
  std::size_t rows() const { return shape_.rows(); }
  std::size_t cols() const { return shape_.cols(); }
  DType dtype() const { return storage_->dtype(); }
  std::size_t bytes() const { return size() * bytes_of(dtype()); }
  Device& device() const { return storage_->device(); }
  Storage& storage() const { return *storage_; }
  const std::shared_ptr<Storage>& shared_storage() const { return storage_; }
  std::size_t offset() const { return offset_; }
  const std::string& name() const { return storage_->name(); }

  std::byte* data() const { return storage_->data() + offset_ * bytes_of(dtype()); }
  template <class T> std::span<T> span() const {
    check(dtype_of<std::remove_const_t<T>> == dtype(), name(), " is ", name_of(dtype()), ", not ",
          name_of(dtype_of<std::remove_const_t<T>>));
    return {reinterpret_cast<T*>(data()), size()};
  }
  std::span<std::byte> byte_span() const { return {data(), bytes()}; }

  // Itself, or a copy in memory that the host can address: a device's staging().
  Tensor on_host() const;
  // Its content becomes these bytes, which lie on the host: all that it has.
  void assign(std::span<const std::byte> from) const;

  // The only element, on the host.
  template <class T> T scalar() const {
    check(size() == 1, name(), " has ", size(), " elements, not one");
    T value{};
    device().read(reinterpret_cast<const std::byte*>(span<const T>().data()),
                  std::as_writable_bytes(std::span{&value, 1}));
    return value;
  }

  // Elements first .. first + part.size() under another shape; no link to the tape.
  Tensor view(std::size_t first, Shape part) const;
  Tensor reshaped(Shape shape) const;  // the same elements; keeps the link to the tape
  Tensor detached() const { return view(0, shape_); }
  const Tensor& fill_zero() const;

  const std::shared_ptr<Variable>& variable() const { return variable_; }
  void set_variable(std::shared_ptr<Variable> variable) { variable_ = std::move(variable); }

 private:
  std::shared_ptr<Storage> storage_;
  std::size_t offset_ = 0;
  Shape shape_;
  std::shared_ptr<Variable> variable_;
};

}  // namespace tranche
