#include "runtime/nn/dropout.h"

#include "runtime/autograd/functions.h"
#include "runtime/nn/moment.h"

namespace tranche {

Dropout::Dropout(std::string name, double probability, const DropoutMode& mode)
    : name_(std::move(name)), probability_(static_cast<float>(probability)), mode_(mode) {
  check(probability_ >= 0 && probability_ < 1, name_, ": the probability ", probability, " is not in [0, 1)");
}

RandomKey Dropout::key() const {
  const Moment& now = Moment::now();
  return RandomKey{mode_.seed, Purpose::dropout}(hash_of(name_))(now.step)(now.micro_batch);
}

Tensor Dropout::forward(const Tensor& x) const { return autograd::dropout(x, probability(), key()); }

ops::AttentionDropout Dropout::of_weights() const { return {probability(), key()}; }

}  // namespace tranche
