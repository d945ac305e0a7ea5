#include "compress/packed_parameters.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "compress/sparse_tensor.h"
#include "runtime/base/error.h"

namespace tranche::compress {
namespace {

// The same leading dimensions, another last one.
Shape with_last(const Shape& shape, std::size_t last, bool added) {
  std::vector<std::size_t> sizes(shape.sizes().begin(), shape.sizes().end());
  if (added)
    sizes.push_back(last);
  else
    sizes.back() = last;
  return Shape{std::span<const std::size_t>{sizes}};
}

template <class T> float number_at(const PackedTensor& tensor, std::size_t i) {
  T value;
  std::memcpy(&value, tensor.values.data() + i * sizeof(T), sizeof(T));
  return to_float(value);
}

}  // namespace

PackedParameters::PackedParameters(const PackedFile& file, Device& device) : file_(file), device_(device) {
  for (std::size_t i = 0; i < file.tensors(); ++i) index_[file.entry(i).name] = i;
}

void PackedParameters::adopt(Unit& unit, const Seams& seams) {
  const Doing frame{[&] { return str("loading ", unit.name(), " of ", file_.path().string()); }};
  // Never allocated: each parameter gets what it has in the file, in place of its part of the flat layout.
  const auto none = std::make_shared<Storage>(device_, unit.name(), Category::parameters, unit.size(), DType::float32);
  unit.place(units_++, Tensor{none, 0, {1, unit.size()}}, seams);
  for (Parameter* parameter : unit.parameters()) {
    const auto found = index_.find(parameter->name);
    ensure(Exit::checkpoint, found != index_.end(), file_.path().string(), " has no ", parameter->name,
           ": it is of another model");
    const PackedTensor tensor = file_.read(found->second);
    index_.erase(found);
    ensure(Exit::checkpoint, tensor.shape == parameter->shape, file_.path().string(), ": ", parameter->name,
           " has shape ", tensor.shape, ", the model's has ", parameter->shape);
    if (tensor.form == TensorForm::signs) {
      ensure(Exit::checkpoint,
             unit.name() != "embedding" && unit.name() != "head" && is_of_signs(file_.description().scheme),
             file_.path().string(), ": ", parameter->name, " is of signs, which are for linears of ",
             name_of(Scheme::signs), " and ", name_of(Scheme::scaled_signs));
      signs_[parameter] = signs_of(tensor);
    } else if (is_integer(tensor.form))
      packed_[parameter] = {integers_of(tensor), tensor.input};
    else if (is_sparse(tensor.form) && tensor.shape.dimensions() == 2)
      sparse_[parameter] = ops::without_zeros(numbers_of(tensor, Category::workspace), tensor.name);
    else
      parameter->value = numbers_of(tensor, Category::parameters);
  }
}

void PackedParameters::check_all_used() const {
  ensure(Exit::checkpoint, index_.empty(), file_.path().string(), " has ", index_.empty() ? "" : index_.begin()->first,
         ", which the model has not: it is of another model");
}

Tensor PackedParameters::numbers_of(const PackedTensor& tensor, Category category) const {
  const Tensor numbers = Tensor::empty(device_, tensor.name, category, tensor.shape, DType::float32);
  const std::span<float> into = numbers.span<float>();
  const bool sparse = is_sparse(tensor.form);
  if (sparse) unpack_sparse(tensor, str(file_.path().string(), ": ", tensor.name), into);
  for (std::size_t i = 0; i < into.size(); ++i) {
    if (!sparse)
      into[i] = tensor.form == TensorForm::float16    ? number_at<float16>(tensor, i)
                : tensor.form == TensorForm::bfloat16 ? number_at<bfloat16>(tensor, i)
                                                      : number_at<float>(tensor, i);
    ensure(Exit::checkpoint, std::isfinite(into[i]), file_.path().string(), ": ", tensor.name, "[", i, "] is ",
           into[i]);
  }
  return numbers;
}

ops::PackedWeight PackedParameters::integers_of(const PackedTensor& tensor) const {
  const std::size_t out = tensor.shape.rows(), in = tensor.shape.cols();
  const bool bytes = activations_of(file_.description().scheme) == ops::ActivationForm::bytes;
  const ops::PackedShape shape{out, in, tensor.group, bits_of(tensor.form)};
  ensure(Exit::checkpoint,
         bytes ? tensor.group >= in && in <= 65536 : tensor.group % shape.granule() == 0 && tensor.group <= 128,
         file_.path().string(), ": ", tensor.name, ": groups of ", tensor.group, " of ", in, " columns do not suit ",
         name_of(file_.description().scheme));
  const Tensor q = Tensor::empty(device_, tensor.name, Category::workspace, tensor.shape, DType::int8);
  const std::span<std::int8_t> values = q.span<std::int8_t>();
  if (shape.bits == 8)
    std::memcpy(values.data(), tensor.values.data(), values.size());
  else
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int8_t>(tensor.level(i / in, i % in));
  const Tensor scales = Tensor::empty(device_, tensor.name, Category::workspace, {out, shape.groups()}, DType::float32);
  std::copy(tensor.scales.begin(), tensor.scales.end(), scales.span<float>().begin());
  const ops::PackedWeight weight{
      shape, Tensor::empty(device_, tensor.name, Category::parameters, {shape.bytes()}, DType::uint8),
      Tensor::empty(device_, tensor.name + " scales", Category::parameters, {shape.scales()}, DType::float32),
      Tensor::empty(device_, tensor.name + " sums", Category::parameters, {shape.scales()}, DType::int32)};
  ops::pack_weight(q, scales, weight);
  return weight;
}

ops::SignRows PackedParameters::signs_of(const PackedTensor& tensor) const {
  const std::size_t out = tensor.shape.rows(), in = tensor.shape.cols();
  ensure(Exit::checkpoint, tensor.group >= in, file_.path().string(), ": ", tensor.name, ": signs in groups of ",
         tensor.group, " of ", in, " columns; a row has one scale");
  const Tensor values = Tensor::empty(device_, tensor.name, Category::workspace, tensor.shape, DType::float32);
  for (std::size_t i = 0; i < tensor.shape.size(); ++i)
    values.span<float>()[i] = static_cast<float>(tensor.level(i / in, i % in));
  const ops::SignRows signs{
      out, in, Tensor::empty(device_, tensor.name, Category::parameters, {ops::sign_bytes(out, in)}, DType::uint8),
      Tensor::empty(device_, tensor.name + " scales", Category::parameters, {out}, DType::float32)};
  ops::take_signs(values, ops::SignScale::one, signs);
  std::ranges::copy(tensor.scales, signs.scales.span<float>().begin());
  return signs;
}

Tensor PackedParameters::multiply(const Tensor& x, const Parameter& weight, const Tensor& bias) const {
  if (const auto signs = signs_.find(&weight); signs != signs_.end()) {
    const Tensor y = x.sibling("linear", with_last(x.shape(), signs->second.rows, false), DType::float32);
    const bool scaled = file_.description().scheme == Scheme::scaled_signs;
    ops::sign_linear(x, scaled ? ops::SignScale::row_mean : ops::SignScale::one, signs->second, bias, y);
    return y;
  }
  if (const auto sparse = sparse_.find(&weight); sparse != sparse_.end()) {
    const Tensor y = x.sibling("linear", with_last(x.shape(), sparse->second.shape.out, false), DType::float32);
    ops::sparse_linear(x, sparse->second, bias, y);
    return y;
  }
  const auto found = packed_.find(&weight);
  if (found == packed_.end()) return LinearForm::multiply(x, weight, bias);
  const auto& [packed, input] = found->second;
  const Tensor y = x.sibling("linear", with_last(x.shape(), packed.shape.out, false), DType::float32);
  if (input)
    ops::packed_linear(x, input->scale, input->zero, packed, bias, y);
  else
    ops::packed_linear(x, activations_of(file_.description().scheme), packed, bias, y);
  return y;
}

Tensor PackedParameters::rows(const Tensor& numbers, const Parameter& table) const {
  const auto rows_of = [&](std::size_t width) {
    return numbers.sibling("rows", with_last(numbers.shape(), width, true), DType::float32);
  };
  if (const auto sparse = sparse_.find(&table); sparse != sparse_.end()) {
    const Tensor y = rows_of(sparse->second.shape.in);
    ops::sparse_rows(numbers, sparse->second, y);
    return y;
  }
  const auto found = packed_.find(&table);
  if (found == packed_.end()) return LinearForm::rows(numbers, table);
  const Tensor y = rows_of(found->second.weight.shape.in);
  ops::packed_rows(numbers, found->second.weight, y);
  return y;
}

}  // namespace tranche::compress
