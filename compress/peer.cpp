#include "compress/peer.h"

#include "runtime/autograd/functions.h"
#include "runtime/ops/elementwise.h"

namespace tranche::compress {

Tensor MutualLearning::loss(const Tensor& logits, const Taps& /*taps*/, const MicroBatch& micro) const {
  const Doing frame{[] { return std::string{"computing the peer"}; }};
  peer_.set_training(true);
  const Tensor of_peer = peer_.forward(micro.tokens);
  // Backward writes each one's gradient over its logits, the peer's first, whose logits the model is yet to be taught
  // by.
  const Tensor said = of_peer.sibling("logits of the peer", of_peer.shape(), of_peer.dtype());
  ops::store(of_peer, {said, false});
  const Tensor loss = autograd::distillation(logits, said, micro.targets, terms_);
  return autograd::add(loss, autograd::distillation(of_peer, logits.detached(), micro.targets, terms_));
}

}  // namespace tranche::compress
