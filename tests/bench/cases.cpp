#include "tests/bench/cases.h"

#include <memory>

#include "runtime/base/error.h"
#include "runtime/ops/activation.h"
#include "runtime/ops/attention.h"
#include "runtime/ops/elementwise.h"
#include "runtime/ops/linear.h"
#include "runtime/ops/loss.h"
#include "runtime/ops/norm.h"
#include "runtime/ops/optimizer.h"
#include "runtime/ops/reduce.h"
#include "tests/bench/ceilings.h"
#include "tests/support/passed_sums.h"

namespace tranche::bench {
namespace {

constexpr DType dtypes[] = {DType::float32, DType::bfloat16, DType::float16};
constexpr DType half_dtypes[] = {DType::bfloat16, DType::float16};

Tensor normal(Device& device, Shape shape, DType dtype, float deviation = 1) {
  const Tensor values = Tensor::empty(device, "values", Category::activations, shape, DType::float32);
  ops::fill_normal(values, RandomKey{1, Purpose::initialise}, 0, 0, deviation);
  if (dtype == DType::float32) return values;
  const Tensor x = values.sibling("x", shape, dtype);
  ops::convert(values, x);
  return x;
}

Tensor zeros(Device& device, Shape shape, DType dtype = DType::float32) {
  return Tensor::zeros(device, "zeros", Category::activations, shape, dtype);
}

double bytes(std::size_t elements, std::size_t each) { return static_cast<double>(elements * each); }

std::string named(const std::string& kernel, DType dtype) { return str(kernel, ", ", name_of(dtype)); }

// Owned elements in float32: 32 Mi of them, far more than the caches hold.
constexpr std::size_t owned = std::size_t{32} << 20;

void add_optimizer(std::vector<Case>& cases) {
  // Four float32 arrays are read and three written; so is the working copy.
  const auto adam = [](DType working_dtype, bool with_copy, bool with_sums = false) {
    return [=](Device& device) -> Work {
      const Tensor weights = normal(device, {owned}, DType::float32),
                   gradient = normal(device, {owned}, DType::float32);
      const Tensor mean = zeros(device, {owned}), square = zeros(device, {owned});
      const Tensor working = with_copy ? zeros(device, {owned}, working_dtype) : Tensor{};
      const ops::AdamStep step{.rate = 1e-3f, .weight_decay = 0.1f, .correction1 = 0.1f, .correction2 = 0.001f};
      const auto arrays = std::make_shared<ops::SumArrays>(std::size_t{1} << 16, owned);
      const ops::PassedSums sums = with_sums ? arrays->sums : ops::PassedSums{};
      return {bytes(owned, with_copy ? 30 : 28),
              [=, kept = arrays] { ops::adam(step, weights, mean, square, gradient, working, sums); },
              [=](int threads) {
                // Half of each: both pairs take the same time at the same speed.
                const double first = add_rate(weights.span<float>(), gradient.span<float>(), threads);
                const double second = add_rate(mean.span<float>(), square.span<float>(), threads);
                return 2 / (1 / first + 1 / second);
              }};
    };
  };
  cases.push_back({"AdamW, float32", Ceiling::add, 0.3, adam(DType::float32, false)});
  for (const DType dtype : half_dtypes)
    cases.push_back({str("AdamW with write-back, ", name_of(dtype)), Ceiling::add, 0.3, adam(dtype, true)});
  cases.push_back({"AdamW with write-back and sums, bfloat16", Ceiling::add, 0.3, adam(DType::bfloat16, true, true)});
  cases.push_back(
      {"SGD with momentum, float32", Ceiling::add, 0.3, [](Device& device) -> Work {
         const Tensor weights = normal(device, {owned}, DType::float32);
         const Tensor buffer = zeros(device, {owned}), gradient = zeros(device, {owned});
         return {bytes(owned, 20), [=] { ops::sgd({.rate = 0.1f, .momentum = 0.9f}, weights, buffer, gradient, {}); },
                 [=](int threads) { return add_rate(weights.span<float>(), gradient.span<float>(), threads); }};
       }});
}

void add_reductions(std::vector<Case>& cases) {
  // A factor of 1 must cost what reading costs; another one writes as well.
  for (const bool scales : {false, true})
    cases.push_back({scales ? "unscale, finite and norm, float32" : "finite and norm, float32", Ceiling::read, 0.15,
                     [=](Device& device) -> Work {
                       const Tensor gradient = normal(device, {owned}, DType::float32);
                       const auto partials = std::make_shared<std::vector<double>>(owned / ops::block);
                       const float factor = scales ? 0.99f : 1.0f;
                       return {bytes(owned, scales ? 8 : 4),
                               [=] { ops::scale_and_sum_squares(gradient, factor, *partials); },
                               [=](int threads) { return read_rate(gradient.span<float>(), threads); }};
                     }});
  cases.push_back({"sum of ranks, bfloat16 (one thread)", Ceiling::add, 0.1, [](Device& device) -> Work {
                     const Tensor from = zeros(device, {owned}, DType::bfloat16), sum = zeros(device, {owned});
                     return {bytes(owned, 10), [=] { ops::accumulate(from.byte_span(), DType::bfloat16, sum); }};
                   }});
}

struct Product {
  std::size_t rows, in, out;
};

void add_products(std::vector<Case>& cases) {
  enum class Kind { forward, input, weight };
  constexpr const char* kinds[] = {"linear", "linear's input gradient", "linear's weight gradient"};
  for (const Product& size : {Product{1024, 768, 3072}, Product{1024, 3072, 768}, Product{1024, 768, 50304}})
    for (const DType dtype : dtypes)
      for (const Kind kind : {Kind::forward, Kind::input, Kind::weight})
        cases.push_back(
            {str(kinds[static_cast<int>(kind)], " ", size.rows, " x ", size.in, " -> ", size.out, ", ", name_of(dtype)),
             dtype == DType::bfloat16 ? Ceiling::gemm_bfloat16 : Ceiling::gemm_float32, 0.3,
             [=](Device& device) -> Work {
               const Tensor x = normal(device, {size.rows, size.in}, dtype);
               const Tensor y = normal(device, {size.rows, size.out}, dtype);
               const Tensor weight = normal(device, {size.out, size.in}, dtype, 0.02f);
               const Tensor bias = zeros(device, {size.out}, dtype);
               return {2 * bytes(size.rows * size.in, size.out), [=] {
                         if (kind == Kind::forward) ops::linear(x, weight, bias, y);
                         if (kind == Kind::input) ops::linear_input_gradient(y, weight, {x, false});
                         if (kind == Kind::weight) ops::linear_weight_gradient(y, x, {weight, false});
                       }};
             }});
}

// The causal half counts: two products forward, five in the gradient.
void add_attention(std::vector<Case>& cases) {
  for (const std::size_t length : {std::size_t{1024}, std::size_t{4096}})
    for (const DType dtype : dtypes)
      for (const bool backward : {false, true})
        cases.push_back(
            {str("attention", backward ? "'s gradient" : "", ", T = ", length, ", ", name_of(dtype)),
             Ceiling::gemm_float32, 0.15, [=](Device& device) -> Work {
               const ops::AttentionShape s{1, length, 12, 12, 64, 0.125f};
               const Tensor qkv = normal(device, {length, s.qkv_width()}, dtype),
                            dqkv = zeros(device, qkv.shape(), dtype);
               const Tensor y = normal(device, {length, s.width()}, dtype), dy = normal(device, y.shape(), dtype);
               const Tensor log_sums = zeros(device, {1, s.heads, length});
               ops::attention(qkv, s, {}, y, log_sums);
               const double product = 2 * static_cast<double>(s.heads * s.head_width * (length * (length + 1) / 2));
               if (!backward) return {2 * product, [=] { ops::attention(qkv, s, {}, y, log_sums); }};
               return {5 * product, [=] { ops::attention_gradient(dy, qkv, y, log_sums, s, {}, {dqkv, false}); }};
             }});
}

void add_rows(std::vector<Case>& cases, DType dtype) {
  const std::size_t each = bytes_of(dtype);
  constexpr std::size_t rows = 16384, width = 768, elements = rows * width;
  const auto operands = [=](Device& device) {
    struct {
      Tensor x, y, gain, bias, statistics;
    } made{normal(device, {rows, width}, dtype), zeros(device, {rows, width}, dtype), normal(device, {width}, dtype),
           zeros(device, {width}, dtype), zeros(device, {rows, 2})};
    ops::layer_norm(made.x, made.gain, made.bias, 1e-5f, made.y, made.statistics);
    return made;
  };
  cases.push_back(
      {named("layer norm", dtype), Ceiling::copy, 0.15, [=](Device& device) -> Work {
         const auto o = operands(device);
         return {bytes(elements, 2 * each), [=] { ops::layer_norm(o.x, o.gain, o.bias, 1e-5f, o.y, o.statistics); }};
       }});
  cases.push_back({named("layer norm's input gradient", dtype), Ceiling::copy, 0.15, [=](Device& device) -> Work {
                     const auto o = operands(device);
                     const Tensor dx = zeros(device, {rows, width}, dtype);
                     return {bytes(elements, 3 * each), [=] {
                               ops::layer_norm_input_gradient(o.y, o.x, o.gain, o.statistics, {dx, false});
                             }};
                   }});
  cases.push_back(
      {named("layer norm's parameter gradients", dtype), Ceiling::read, 0.1, [=](Device& device) -> Work {
         const auto o = operands(device);
         return {bytes(elements, 2 * each), [=] {
                   ops::layer_norm_parameter_gradients(o.y, o.x, o.statistics, {o.gain, false}, {o.bias, false});
                 }};
       }});
}

void add_elementwise(std::vector<Case>& cases, DType dtype) {
  const std::size_t each = bytes_of(dtype);
  constexpr std::size_t elements = std::size_t{4096} * 3072;
  const auto pass = [&](const std::string& name, double least, std::size_t arrays, auto run) {
    cases.push_back({named(name, dtype), Ceiling::copy, least, [=](Device& device) -> Work {
                       const Tensor x = normal(device, {elements}, dtype), y = zeros(device, {elements}, dtype);
                       return {bytes(elements, arrays * each), [=] { run(x, y); }};
                     }});
  };
  using enum ops::Activation;
  for (const auto& [kind, name] : {std::pair{gelu_tanh, "gelu (tanh)"}, {gelu_erf, "gelu (erf)"}, {silu, "silu"}}) {
    pass(name, 0.05, 2, [kind = kind](const Tensor& x, const Tensor& y) { ops::activate(kind, x, y); });
    pass(str(name, "'s gradient"), 0.05, 2, [kind = kind](const Tensor& x, const Tensor& y) {
      ops::activate_gradient(kind, x, x, {y, false});
    });
  }
  pass("add", 0.2, 2, [](const Tensor& x, const Tensor& y) { ops::add(x, x, y); });
  pass("dropout", 0.03, 2, [](const Tensor& x, const Tensor& y) { ops::dropout(x, 0.1f, RandomKey{}, y); });
}

void add_loss(std::vector<Case>& cases, DType dtype) {
  constexpr std::size_t rows = 1024, classes = 50304;
  for (const bool backward : {false, true})
    cases.push_back({named(str("cross-entropy", backward ? "'s gradient" : "", ", 50304 columns"), dtype),
                     backward ? Ceiling::copy : Ceiling::read, 0.05, [=](Device& device) -> Work {
                       const Tensor logits = normal(device, {rows, classes}, dtype);
                       const Tensor targets = zeros(device, {rows}, DType::int32);
                       const Tensor loss = zeros(device, {1}), log_sums = zeros(device, {rows});
                       ops::cross_entropy(logits, targets, loss, log_sums);
                       if (!backward)
                         return {bytes(rows * classes, bytes_of(dtype)),
                                 [=] { ops::cross_entropy(logits, targets, loss, log_sums); }};
                       const Tensor dlogits = zeros(device, {rows, classes}, dtype);
                       return {bytes(rows * classes, 2 * bytes_of(dtype)), [=] {
                                 ops::cross_entropy_gradient(loss, logits, targets, log_sums, {dlogits, false});
                               }};
                     }});
}

}  // namespace

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  add_optimizer(cases);
  add_reductions(cases);
  add_products(cases);
  add_attention(cases);
  for (const DType dtype : {DType::float32, DType::bfloat16}) {
    add_rows(cases, dtype);
    add_elementwise(cases, dtype);
    add_loss(cases, dtype);
  }
  return cases;
}

}  // namespace tranche::bench
