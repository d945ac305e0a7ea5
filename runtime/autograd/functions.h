// Differentiable functions: each runs a forward kernel and, if a tape is recording and an input needs a gradient,
// leaves the node that runs the backward kernels. Shapes, precision and order are those of the op with the same name in
// runtime/ops, where x may have more dimensions before its last: (batch, sequence, width) counts as (rows, width), and
// the result keeps them. Results are new activations on the input's device, of its dtype.
#pragma once

#include "runtime/autograd/tape.h"
#include "runtime/ops/activation.h"
#include "runtime/ops/attention.h"
#include "runtime/ops/distillation.h"
#include "runtime/ops/fake_quantize.h"
#include "runtime/ops/sign_linear.h"

namespace tranche::autograd {

Tensor embedding(const Tensor& tokens, const Tensor& table);                    // (...) int32, (vocabulary, width)
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});  // (rows, in), (out, in), (out)
// activate(kind, linear(x, weight, bias)), where a device may do both at once
Tensor linear_activated(ops::Activation kind, const Tensor& x, const Tensor& weight, const Tensor& bias = {});
Tensor layer_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, float epsilon);
Tensor rms_norm(const Tensor& x, const Tensor& gain, float epsilon);
Tensor activate(ops::Activation kind, const Tensor& x);
Tensor gated(ops::Activation kind, const Tensor& gate, const Tensor& up);
Tensor attention(const Tensor& qkv, const ops::AttentionShape& shape, const ops::AttentionDropout& dropout = {});
// Overwrites qkv's bytes. The first token stands at `first`; a gradient wants 0.
Tensor rotary(const Tensor& qkv, const ops::AttentionShape& shape, float theta, std::size_t first = 0);
Tensor add(const Tensor& a, const Tensor& b);
// x for one of several units that use it, whose gradient comes back as one sum: what the units' gradients round to
// together must not depend on whether each adds its parts on this tape or, recomputed, on its own.
Tensor passed_on(const Tensor& x);
Tensor dropout(const Tensor& x, float probability, RandomKey key);  // x itself when probability is 0
// Straight through: the gradient is that of x itself (Bengio, Leonard, Courville 2013).
Tensor fake_quantize(const Tensor& x, const ops::QuantizationGrid& grid, ops::FakeForm form, unsigned bits);
Tensor fake_quantize_with(float scale, std::int32_t zero, ops::Levels levels, const Tensor& x);
// Levels of learned step sizes, which have a gradient as x has.
Tensor fake_quantize_by(const Tensor& x, const Tensor& steps, const ops::QuantizationGrid& grid, unsigned bits);
// Signs of x, 0 being positive, as they are, or times the mean magnitude of their row (XNOR-Net: Rastegari et al.
// 2016); a row of zeros has the scale 1. The scale has no gradient, and x has one where -1 <= x <= 1.
Tensor signs(const Tensor& x, ops::SignScale scale);
// (1) float32; overwrites logits in backward. No gradient reaches the teacher.
Tensor distillation(const Tensor& logits, const Tensor& teacher, const Tensor& targets,
                    const ops::DistillationTerms& terms);
Tensor cross_entropy(const Tensor& logits, const Tensor& targets);  // (1) float32; overwrites logits in backward

}  // namespace tranche::autograd
