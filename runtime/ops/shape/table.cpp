#include "runtime/ops/shape/table.h"

#include "runtime/ops/workspace.h"

namespace tranche::ops {
namespace {

template <class Arguments> void nothing(Device&, const Arguments&) {}

double keep_sum(Device&, const AddInOrder& a) { return a.sum; }

// One that stages in other memory stands for a GPU (launcher/plan.cpp).
bool is_gpu(Device& device) { return &device.staging() != &device; }

std::size_t none_outside(Device& device, const FirstOutside& a) {
  if (is_gpu(device) && a.count != 0) search_workspace(device);
  return a.count;
}
std::size_t none_non_finite(Device& device, const FirstNonFinite& a) {
  if (is_gpu(device) && a.size != 0) search_workspace(device);
  return a.size;
}
template <class Gradient> void take_row_share(Device& device, const Gradient&) {
  if (is_gpu(device)) row_share_workspace(device);
}
void take_square_sums(Device& device, const ScaleAndSumSquares& a) {
  if (is_gpu(device) && a.blocks != 0) square_sums_workspace(device, a.blocks);
}
void take_places(Device& device, const EmbeddingGradient& a) {
  if (!is_gpu(device)) places_workspace(device, a.vocabulary, a.count);
}
void take_row_sums(Device& device, const NormParameterGradients& a) { row_sums_workspace(device, a.rows, a.width); }

}  // namespace

const Kernels& shape_kernels() {
  static const Kernels table{
      .activation = {.forward = nothing, .gradient = nothing, .gated = nothing, .gated_gradient = nothing},
      .attention = {.forward = nothing,
                    .gradient = nothing,
                    .rotary = nothing,
                    .rotary_gradient = nothing,
                    .keep = nothing,
                    .over_kept = nothing},
      .distillation = {.forward = nothing, .gradient = take_row_share},
      .elementwise = {.add = nothing,
                      .store = nothing,
                      .convert = nothing,
                      .scale = nothing,
                      .accumulate = nothing,
                      .dropout = nothing,
                      .fill_normal = nothing,
                      .fill_constant = nothing},
      .embedding = {.first_outside = none_outside, .forward = nothing, .positions = nothing, .gradient = take_places},
      .fake_quantize = {.groups = nothing,
                        .with = nothing,
                        .by = nothing,
                        .by_input_gradient = nothing,
                        .by_step_gradient = nothing,
                        .range = nothing},
      .linear = {.forward = nothing, .input_gradient = nothing, .weight_gradient = nothing, .bias_gradient = nothing},
      .loss = {.cross_entropy = nothing, .cross_entropy_gradient = take_row_share},
      .norm = {.layer_norm = nothing,
               .layer_norm_input_gradient = nothing,
               .layer_norm_parameter_gradients = take_row_sums,
               .rms_norm = nothing,
               .rms_norm_input_gradient = nothing,
               .rms_norm_parameter_gradient = take_row_sums},
      .optimizer = {.adam = nothing, .sgd = nothing},
      .packed = {.pack = nothing, .split_rows = nothing, .product = nothing, .rows = nothing},
      .pruning = {.zero_where = nothing,
                  .count_keys = nothing,
                  .below = nothing,
                  .smallest = nothing,
                  .movement = nothing,
                  .penalty = nothing},
      .quantize = {.quantize = nothing, .dequantize = nothing, .quantize_rows = nothing, .quantize_rows_with = nothing},
      .reduce = {.scale_and_sum_squares = take_square_sums,
                 .add_in_order = keep_sum,
                 .first_non_finite = none_non_finite},
      .signs = {.take = nothing, .product = nothing},
      .sparse = {.find = nothing, .store = nothing, .product = nothing, .expand = nothing, .rows = nothing},
  };
  return table;
}

}  // namespace tranche::ops
