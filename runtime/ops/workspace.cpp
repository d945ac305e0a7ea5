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

}  // namespace tranche::ops
