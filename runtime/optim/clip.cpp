#include "runtime/optim/clip.h"

#include "runtime/base/trace.h"
#include "runtime/ops/elementwise.h"

namespace tranche {

void clip(const Shards& gradients, double norm, double limit) {
  const double factor = limit / (norm + 1e-6);
  if (limit == 0 || factor >= 1) return;
  const trace::Span span{trace::Kind::optimizer, "clip"};
  for (const Tensor& shard : gradients) ops::scale(shard, static_cast<float>(factor));
}

}  // namespace tranche
