#include "runtime/autograd/functions.h"

#include <algorithm>

#include "runtime/ops/elementwise.h"
#include "runtime/ops/embedding.h"
#include "runtime/ops/linear.h"
#include "runtime/ops/loss.h"
#include "runtime/ops/norm.h"

namespace tranche::autograd {
namespace {

// Ends a function: where a gradient is wanted, leaves the node that calls backward(dy).
template <class Backward> Tensor taped(Tensor y, std::initializer_list<const Tensor*> inputs, Backward backward) {
  const bool wanted =
      std::any_of(inputs.begin(), inputs.end(), [](const Tensor* x) { return x->variable() != nullptr; });
  if (Tape::current() == nullptr || !wanted) return y;
  y.set_variable(std::make_shared<Variable>());
  Tape::current()->record([result = y.variable(), backward = std::move(backward)] {
    if (const Tensor dy = result->take()) backward(dy);
  });
  return y;
}

// Asks x's variable where its gradient goes for as long as an op writes it; x may need none.
class Into {
 public:
  explicit Into(const Tensor& x) : variable_(x ? x.variable() : nullptr) {
    if (variable_) destination_ = variable_->destination(x);
  }
  ~Into() {
    if (variable_) variable_->commit(destination_);
  }
  Into(const Into&) = delete;
  Into& operator=(const Into&) = delete;
  operator const ops::Destination&() const { return destination_; }  // NOLINT: an Into is used as its destination

 private:
  std::shared_ptr<Variable> variable_;
  ops::Destination destination_;
};

Tensor result(const Tensor& x, const char* name, Shape shape) { return x.sibling(name, shape, x.dtype()); }

// The same leading dimensions, another last one.
Shape with_cols(const Shape& shape, std::size_t cols) {
  std::array<std::size_t, Shape::max_dimensions> sizes{};
  std::copy(shape.sizes().begin(), shape.sizes().end(), sizes.begin());
  sizes[shape.dimensions() - 1] = cols;
  return Shape{std::span<const std::size_t>{sizes.data(), shape.dimensions()}};
}
Shape with_another_dimension(const Shape& shape, std::size_t cols) {
  std::array<std::size_t, Shape::max_dimensions + 1> sizes{};
  std::copy(shape.sizes().begin(), shape.sizes().end(), sizes.begin());
  sizes[shape.dimensions()] = cols;
  return Shape{std::span<const std::size_t>{sizes.data(), shape.dimensions() + 1}};
}
Tensor result(const Tensor& x, const char* name) { return result(x, name, x.shape()); }

Tensor straight_through(const Tensor& x, Tensor y) {
  return taped(std::move(y), {&x}, [x = x.variable()](const Tensor& dy) { x->add(dy); });
}

Tensor room_for_product(const Tensor& x, const Tensor& weight) {
  return result(x, "linear", with_cols(x.shape(), weight.rows()));
}
Tensor taped_product(Tensor y, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  return taped(std::move(y), {&x, &weight, &bias}, [=](const Tensor& dy) {
    ops::linear_weight_gradient(dy, x, Into{weight});
    if (bias) ops::linear_bias_gradient(dy, Into{bias});
    ops::linear_input_gradient(dy, weight, Into{x});
  });
}
Tensor taped_activation(Tensor y, ops::Activation kind, const Tensor& x) {
  return taped(std::move(y), {&x}, [=](const Tensor& dy) { ops::activate_gradient(kind, dy, x, Into{x}); });
}

}  // namespace

Tensor embedding(const Tensor& tokens, const Tensor& table) {
  const Tensor y = result(table, "embedding", with_another_dimension(tokens.shape(), table.cols()));
  ops::embedding(tokens, table, y);
  return taped(y, {&table}, [=](const Tensor& dy) { ops::embedding_gradient(tokens, dy, Into{table}); });
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const Tensor y = room_for_product(x, weight);
  ops::linear(x, weight, bias, y);
  return taped_product(y, x, weight, bias);
}

// Backward goes through both, one after the other.
Tensor linear_activated(ops::Activation kind, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const Tensor before = room_for_product(x, weight), y = result(before, "activation");
  ops::linear_activated(kind, x, weight, bias, before, y);
  return taped_activation(y, kind, taped_product(before, x, weight, bias));
}

Tensor layer_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, float epsilon) {
  const Tensor y = result(x, "layer norm");
  const Tensor statistics = x.sibling("layer norm statistics", {x.rows(), 2}, DType::float32);
  ops::layer_norm(x, gain, bias, epsilon, y, statistics);
  return taped(y, {&x, &gain, &bias}, [=](const Tensor& dy) {
    ops::layer_norm_parameter_gradients(dy, x, statistics, Into{gain}, Into{bias});
    ops::layer_norm_input_gradient(dy, x, gain, statistics, Into{x});
  });
}

Tensor rms_norm(const Tensor& x, const Tensor& gain, float epsilon) {
  const Tensor y = result(x, "rms norm");
  const Tensor statistics = x.sibling("rms norm statistics", {x.rows()}, DType::float32);
  ops::rms_norm(x, gain, epsilon, y, statistics);
  return taped(y, {&x, &gain}, [=](const Tensor& dy) {
    ops::rms_norm_parameter_gradient(dy, x, statistics, Into{gain});
    ops::rms_norm_input_gradient(dy, x, gain, statistics, Into{x});
  });
}

Tensor activate(ops::Activation kind, const Tensor& x) {
  const Tensor y = result(x, "activation");
  ops::activate(kind, x, y);
  return taped_activation(y, kind, x);
}

Tensor gated(ops::Activation kind, const Tensor& gate, const Tensor& up) {
  const Tensor y = result(gate, "gated activation");
  ops::gated(kind, gate, up, y);
  return taped(y, {&gate, &up},
               [=](const Tensor& dy) { ops::gated_gradient(kind, dy, gate, up, Into{gate}, Into{up}); });
}

Tensor attention(const Tensor& qkv, const ops::AttentionShape& shape, const ops::AttentionDropout& dropout) {
  const Tensor y = result(qkv, "attention", with_cols(qkv.shape(), shape.width()));
  const Tensor log_sums = qkv.sibling("attention log sums", {shape.batch, shape.heads, shape.sequence}, DType::float32);
  ops::attention(qkv, shape, dropout, y, log_sums);
  return taped(y, {&qkv}, [=, out = y](const Tensor& dy) {
    ops::attention_gradient(dy, qkv, out, log_sums, shape, dropout, Into{qkv});
  });
}

Tensor rotary(const Tensor& qkv, const ops::AttentionShape& shape, float theta, std::size_t first) {
  check(first == 0 || Tape::current() == nullptr, "rotary: no gradient of a text that goes on");
  // In place: nothing else reads the projection's result, whose backward needs only its inputs.
  ops::rotary(qkv, shape, theta, qkv, first);
  return taped(qkv.detached(), {&qkv}, [=](const Tensor& dy) { ops::rotary_gradient(dy, shape, theta, Into{qkv}); });
}

Tensor add(const Tensor& a, const Tensor& b) {
  const Tensor y = result(a, "sum");
  ops::add(a, b, y);
  return taped(y, {&a, &b}, [a = a.variable(), b = b.variable()](const Tensor& dy) {
    if (a) a->add(dy);
    if (b) b->add(dy);
  });
}

Tensor passed_on(const Tensor& x) {
  return taped(x.detached(), {&x}, [x = x.variable()](const Tensor& dy) { x->add(dy); });
}

Tensor dropout(const Tensor& x, float probability, RandomKey key) {
  if (probability == 0) return x;
  const Tensor y = result(x, "dropout");
  ops::dropout(x, probability, key, y);
  return taped(y, {&x}, [=](const Tensor& dy) { ops::dropout_gradient(dy, probability, key, Into{x}); });
}

Tensor fake_quantize(const Tensor& x, const ops::QuantizationGrid& grid, ops::FakeForm form, unsigned bits) {
  const Tensor y = result(x, "fake-quantized");
  ops::fake_quantize(x, grid, form, bits, y);
  return straight_through(x, y);
}

Tensor fake_quantize_with(float scale, std::int32_t zero, ops::Levels levels, const Tensor& x) {
  const Tensor y = result(x, "fake-quantized");
  ops::fake_quantize_with(scale, zero, levels, x, y);
  return straight_through(x, y);
}

Tensor fake_quantize_by(const Tensor& x, const Tensor& steps, const ops::QuantizationGrid& grid, unsigned bits) {
  const Tensor y = result(x, "fake-quantized");
  ops::fake_quantize_by(x, steps, grid, bits, y);
  return taped(y, {&x, &steps}, [=](const Tensor& dy) {
    ops::fake_quantize_by_step_gradient(dy, x, steps, grid, bits, Into{steps});
    ops::fake_quantize_by_input_gradient(dy, x, steps, grid, bits, Into{x});
  });
}

Tensor signs(const Tensor& x, ops::SignScale scale) {
  const ops::QuantizationGrid grid = ops::QuantizationGrid::per_row(x.rows(), x.cols());
  const Tensor y = result(x, "signs"), scales = result(x, "scales of signs", {x.rows()});
  if (scale == ops::SignScale::one) {
    ops::fill_constant(scales, 1);
  } else {
    const Tensor means = x.sibling("mean magnitudes", {x.rows()}, DType::float32);
    ops::fake_quantize(x, grid, ops::FakeForm::binary, 1, y, means);
    ops::convert(means, scales);
  }
  ops::fake_quantize_by(x, scales, grid, 1, y);
  return taped(y, {&x},
               [=](const Tensor& dy) { ops::fake_quantize_by_input_gradient(dy, x, scales, grid, 1, Into{x}); });
}

Tensor distillation(const Tensor& logits, const Tensor& teacher, const Tensor& targets,
                    const ops::DistillationTerms& terms) {
  const Tensor loss = logits.sibling("loss", {1}, DType::float32);
  const Tensor statistics = logits.sibling("distillation statistics", {logits.rows(), 4}, DType::float32);
  ops::distillation(logits, teacher, targets, terms, loss, statistics);
  return taped(loss, {&logits}, [=, teacher = teacher.detached()](const Tensor& dloss) {
    ops::distillation_gradient(dloss, logits, teacher, targets, terms, statistics, {logits.detached(), false});
    logits.variable()->add(logits);
  });
}

Tensor cross_entropy(const Tensor& logits, const Tensor& targets) {
  const Tensor loss = logits.sibling("loss", {1}, DType::float32);
  const Tensor log_sums = logits.sibling("cross-entropy log sums", {logits.rows()}, DType::float32);
  ops::cross_entropy(logits, targets, loss, log_sums);
  return taped(loss, {&logits}, [=](const Tensor& dloss) {
    // The logits are read here for the last time: their gradient takes their place.
    ops::cross_entropy_gradient(dloss, logits, targets, log_sums, {logits.detached(), false});
    logits.variable()->add(logits);
  });
}

}  // namespace tranche::autograd
