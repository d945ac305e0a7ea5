// "reduction": "fast": gradients of ranks are summed by whatever carries them, where that can (docs/numerics.md).
#pragma once

#include "partition/canonical_sync.h"

namespace tranche {

// As CanonicalSync, but for the order of ranks' contributions within a round, and for roundings of their sum to the
// gradient's type: the bits depend on the number of ranks. Where a communicator adds nothing on the way, they do not.
class FastSync final : public CanonicalSync {
 public:
  using CanonicalSync::CanonicalSync;

 protected:
  Event send(const Tensor& gradient, Communicator::Consume add, std::string label) override {
    return world().reduce(gradient.byte_span(), gradient.dtype(), std::move(add), std::move(label));
  }
};

}  // namespace tranche
