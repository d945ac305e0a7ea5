// Dropout (Srivastava et al. 2014), drawn from keys that name what is dropped: recomputation, and any division of the
// micro-batches over ranks, drop the same elements.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/ops/attention.h"
#include "runtime/tensor/tensor.h"

namespace tranche {

// What all dropout layers of a model share; the model owns it. It must not change between a forward and its backward,
// which may compute the forward again.
struct DropoutMode {
  std::uint64_t seed = 0;
  bool training = false;  // false: evaluation, nothing is dropped
};

// Element i of the stream (seed, dropout, name, step, micro-batch) decides on element i of a micro-batch's tensor.
class Dropout {
 public:
  // probability: of an element to become zero, in [0, 1). `mode` must outlive the layer.
  Dropout(std::string name, double probability, const DropoutMode& mode);

  Tensor forward(const Tensor& x) const;  // any shape; x itself in evaluation
  // For attention weights, which ops::attention drops itself.
  ops::AttentionDropout of_weights() const;

 private:
  float probability() const { return mode_.training ? probability_ : 0; }
  RandomKey key() const;  // of this moment

  std::string name_;
  float probability_;
  const DropoutMode& mode_;
};

}  // namespace tranche
