// Everything a device computes, as a table of functions. An op checks its tensors once, then calls the table.
//
// A family of ops declares its arguments and its part of the table in runtime/ops/kernels/. On the CPU, the sources in
// runtime/ops/cpu are compiled once for each instruction path, and each path fills in a table of its own.
#pragma once

#include "runtime/device/device.h"
#include "runtime/ops/kernels/activation.h"
#include "runtime/ops/kernels/attention.h"
#include "runtime/ops/kernels/distillation.h"
#include "runtime/ops/kernels/elementwise.h"
#include "runtime/ops/kernels/embedding.h"
#include "runtime/ops/kernels/fake_quantize.h"
#include "runtime/ops/kernels/linear.h"
#include "runtime/ops/kernels/loss.h"
#include "runtime/ops/kernels/norm.h"
#include "runtime/ops/kernels/optimizer.h"
#include "runtime/ops/kernels/packed_linear.h"
#include "runtime/ops/kernels/pruning.h"
#include "runtime/ops/kernels/quantize.h"
#include "runtime/ops/kernels/reduce.h"
#include "runtime/ops/kernels/sign_linear.h"
#include "runtime/ops/kernels/sparse_linear.h"

namespace tranche::ops {

struct Kernels {
  ActivationKernels activation;
  AttentionKernels attention;
  DistillationKernels distillation;
  ElementwiseKernels elementwise;
  EmbeddingKernels embedding;
  FakeQuantizeKernels fake_quantize;
  LinearKernels linear;
  LossKernels loss;
  NormKernels norm;
  OptimizerKernels optimizer;
  PackedKernels packed;
  PruningKernels pruning;
  QuantizeKernels quantize;
  ReduceKernels reduce;
  SignKernels signs;
  SparseKernels sparse;
};

// Of the device's type and, on the CPU, of the instruction path in use.
const Kernels& kernels_of(const Device& device);

// What kernels_of() gives for devices of type cuda from now on: who makes such a device says so before its first op.
void use_cuda_kernels(const Kernels& kernels);

}  // namespace tranche::ops
