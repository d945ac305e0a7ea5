#include "runtime/ops/workspace.h"
#include "runtime/base/round.h"

#include <cstdint>

namespace tranche::ops {

Buffer row_sums_workspace(Device& device, std::size_t rows, std::size_t width) {
  const std::size_t blocks = pieces_of(rows, block_rows);
  return device.allocate(blocks * width * sizeof(float), Category::workspace, "sums over blocks of rows");
}

Buffer places_workspace(Device& device, std::size_t vocabulary, std::size_t count) {
  return device.allocate((vocabulary + count) * sizeof(std::int32_t), Category::workspace,
                         "embedding_gradient's lists of places");
}

Buffer search_workspace(Device& device) {
  return device.allocate(sizeof(std::uint64_t), Category::workspace, "a search's result");
}

Buffer row_share_workspace(Device& device) {
  return device.allocate(sizeof(float), Category::workspace, "a row's share of a loss's gradient");
}

Buffer square_sums_workspace(Device& device, std::size_t blocks) {
  return device.allocate(blocks * sizeof(double), Category::workspace, "scale_and_sum_squares' sums of blocks");
}

}  // namespace tranche::ops
