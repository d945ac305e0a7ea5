#include "runtime/ops/attention.h"

#include "runtime/ops/arguments.h"
#include "runtime/ops/kernels.h"

namespace tranche::ops {
namespace {

void check_form(std::string_view op, const AttentionShape& s) {
  check(s.groups >= 1 && s.heads % s.groups == 0, op, ": ", s.heads, " heads cannot share ", s.groups,
        " groups of keys and values");
  check(s.head_width >= 1, op, ": head_width is 0");
}
void check_rows(std::string_view op, std::string_view what, const Tensor& tensor, const AttentionShape& s,
                std::size_t width) {
  check_floating(op, what, tensor);
  check_matrix(op, what, tensor, s.batch * s.sequence, width);
}
void check_log_sums(std::string_view op, const Tensor& log_sums, const AttentionShape& s) {
  check_dtype(op, "log_sums", log_sums, DType::float32);
  check_shape(op, "log_sums", log_sums, {s.batch, s.heads, s.sequence});
}
void check_dropout(std::string_view op, const AttentionDropout& dropout) {
  check(dropout.probability >= 0 && dropout.probability < 1, op, ": the probability of dropout is ",
        dropout.probability, ", expected 0 <= probability < 1");
}
void check_rotary(std::string_view op, const AttentionShape& s, float theta) {
  check_form(op, s);
  check(s.head_width % 2 == 0, op, ": head_width ", s.head_width, " is odd");
  check(theta > 0, op, ": theta is ", theta);
}

void check_kept(std::string_view op, const Tensor& qkv, const AttentionShape& s, std::size_t past,
                const KeysAndValues& kept) {
  check_form(op, s);
  check(s.batch == 1, op, ": ", s.batch, " texts at once, expected one");
  check_rows(op, "qkv", qkv, s, s.qkv_width());
  check_dtype(op, "keys", kept.keys, DType::float32);
  check_dtype(op, "values", kept.values, DType::float32);
  const Shape expected{s.groups, kept.capacity(), s.head_width};
  check_shape(op, "keys", kept.keys, expected);
  check_shape(op, "values", kept.values, expected);
  check(past + s.sequence <= kept.capacity(), op, ": token ", past + s.sequence, " of a text, room for ",
        kept.capacity());
}

}  // namespace

void attention(const Tensor& qkv, const AttentionShape& shape, const AttentionDropout& dropout, const Tensor& y,
               const Tensor& log_sums) {
  check_form("attention", shape);
  check_dropout("attention", dropout);
  check_rows("attention", "qkv", qkv, shape, shape.qkv_width());
  check_rows("attention", "y", y, shape, shape.width());
  check_alike("attention", "y", y, qkv);
  check_log_sums("attention", log_sums, shape);
  kernels_of(qkv.device())
      .attention.forward(qkv.device(), {.qkv = elements_of(qkv),
                                        .y = elements_of(y),
                                        .log_sums = elements_of(log_sums),
                                        .shape = shape,
                                        .dropout = dropout});
}

void attention_gradient(const Tensor& dy, const Tensor& qkv, const Tensor& y, const Tensor& log_sums,
                        const AttentionShape& shape, const AttentionDropout& dropout, const Destination& dqkv) {
  if (!dqkv) return;
  check_form("attention_gradient", shape);
  check_dropout("attention_gradient", dropout);
  check_rows("attention_gradient", "dy", dy, shape, shape.width());
  check_rows("attention_gradient", "qkv", qkv, shape, shape.qkv_width());
  check_rows("attention_gradient", "y", y, shape, shape.width());
  check_rows("attention_gradient", "dqkv", dqkv.tensor, shape, shape.qkv_width());
  check_alike("attention_gradient", "dy", dy, qkv);
  check_alike("attention_gradient", "y", y, qkv);
  check_alike("attention_gradient", "dqkv", dqkv.tensor, qkv);
  check_log_sums("attention_gradient", log_sums, shape);
  kernels_of(qkv.device())
      .attention.gradient(qkv.device(), {.dy = elements_of(dy),
                                         .qkv = elements_of(qkv),
                                         .y = elements_of(y),
                                         .log_sums = elements_of(log_sums),
                                         .dqkv = target_of(dqkv),
                                         .shape = shape,
                                         .dropout = dropout});
}

void rotary(const Tensor& qkv, const AttentionShape& shape, float theta, const Tensor& y, std::size_t first) {
  check_rotary("rotary", shape, theta);
  check_rows("rotary", "qkv", qkv, shape, shape.qkv_width());
  check_rows("rotary", "y", y, shape, shape.qkv_width());
  check_alike("rotary", "y", y, qkv);
  kernels_of(qkv.device())
      .attention.rotary(qkv.device(),
                        {.qkv = elements_of(qkv), .y = elements_of(y), .shape = shape, .theta = theta, .first = first});
}

void rotary_gradient(const Tensor& dy, const AttentionShape& shape, float theta, const Destination& dqkv) {
  if (!dqkv) return;
  check_rotary("rotary_gradient", shape, theta);
  check_rows("rotary_gradient", "dy", dy, shape, shape.qkv_width());
  check_rows("rotary_gradient", "dqkv", dqkv.tensor, shape, shape.qkv_width());
  check_alike("rotary_gradient", "dqkv", dqkv.tensor, dy);
  kernels_of(dy.device())
      .attention.rotary_gradient(dy.device(),
                                 {.dy = elements_of(dy), .dqkv = target_of(dqkv), .shape = shape, .theta = theta});
}

void keep_keys_and_values(const Tensor& qkv, const AttentionShape& shape, std::size_t past, const KeysAndValues& into) {
  check_kept("keep_keys_and_values", qkv, shape, past, into);
  kernels_of(qkv.device())
      .attention.keep(qkv.device(), {.qkv = elements_of(qkv),
                                     .keys = elements_of(into.keys).as<float>(),
                                     .values = elements_of(into.values).as<float>(),
                                     .shape = shape,
                                     .past = past,
                                     .capacity = into.capacity()});
}

void attention_over_kept(const Tensor& qkv, const AttentionShape& shape, std::size_t past, const KeysAndValues& kept,
                         const Tensor& y) {
  check_kept("attention_over_kept", qkv, shape, past, kept);
  check_rows("attention_over_kept", "y", y, shape, shape.width());
  check_alike("attention_over_kept", "y", y, qkv);
  kernels_of(qkv.device())
      .attention.over_kept(qkv.device(), {.qkv = elements_of(qkv),
                                          .y = elements_of(y),
                                          .keys = elements_of(kept.keys).as<const float>(),
                                          .values = elements_of(kept.values).as<const float>(),
                                          .shape = shape,
                                          .past = past,
                                          .capacity = kept.capacity()});
}

}  // namespace tranche::ops
