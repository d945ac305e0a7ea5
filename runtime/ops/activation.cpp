#include "runtime/ops/activation.h"

#include "runtime/ops/arguments.h"
#include "runtime/ops/kernels.h"

namespace tranche::ops {
void activate(Activation kind, const Tensor& x, const Tensor& y) {
  check_floating("activate", "x", x);
  check_same("activate", "y", y, x);
  kernels_of(x.device())
      .activation.forward(x.device(), {.kind = kind, .x = elements_of(x), .y = elements_of(y), .size = x.size()});
}

void activate_gradient(Activation kind, const Tensor& dy, const Tensor& x, const Destination& dx) {
  if (!dx) return;
  check_floating("activate_gradient", "x", x);
  check_same("activate_gradient", "dy", dy, x);
  check_same("activate_gradient", "dx", dx.tensor, x);
  kernels_of(x.device())
      .activation.gradient(
          x.device(),
          {.kind = kind, .dy = elements_of(dy), .x = elements_of(x), .dx = target_of(dx), .size = x.size()});
}

void gated(Activation kind, const Tensor& gate, const Tensor& up, const Tensor& y) {
  check_floating("gated", "gate", gate);
  check_same("gated", "up", up, gate);
  check_same("gated", "y", y, gate);
  kernels_of(gate.device())
      .activation.gated(
          gate.device(),
          {.kind = kind, .gate = elements_of(gate), .up = elements_of(up), .y = elements_of(y), .size = gate.size()});
}

void gated_gradient(Activation kind, const Tensor& dy, const Tensor& gate, const Tensor& up, const Destination& dgate,
                    const Destination& dup) {
  if (!dgate && !dup) return;
  check_floating("gated_gradient", "gate", gate);
  check_same("gated_gradient", "dy", dy, gate);
  check_same("gated_gradient", "up", up, gate);
  if (dgate) check_same("gated_gradient", "dgate", dgate.tensor, gate);
  if (dup) check_same("gated_gradient", "dup", dup.tensor, gate);
  kernels_of(gate.device())
      .activation.gated_gradient(gate.device(), {.kind = kind,
                                                 .dy = elements_of(dy),
                                                 .gate = elements_of(gate),
                                                 .up = elements_of(up),
                                                 .dgate = target_of(dgate),
                                                 .dup = target_of(dup),
                                                 .size = gate.size()});
}

}  // namespace tranche::ops
