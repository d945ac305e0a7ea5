// The end of a language model: a last norm, then the projection to the vocabulary, by the embedding's own table where
// the two are tied (Press, Wolf 2017).
#pragma once

#include <optional>
#include <vector>

#include "runtime/nn/embedding.h"

namespace tranche {

template <class Norm> class Head {
 public:
  // own: none if the projection is the embedding's. `embedding` must outlive the head; a tied head's unit leases its
  // unit.
  Head(Norm norm, std::optional<Embedding> own, const Embedding& embedding)
      : norm_(std::move(norm)), own_(std::move(own)), embedding_(embedding) {}

  // x: (batch, sequence, width); returns logits, (batch, sequence, vocabulary)
  Tensor forward(const Tensor& x) const { return (own_ ? *own_ : embedding_).project(norm_.forward(x)); }

  void collect(std::vector<Parameter*>& into) {
    norm_.collect(into);
    if (own_) own_->collect(into);
  }

 private:
  Norm norm_;
  std::optional<Embedding> own_;
  const Embedding& embedding_;
};

}  // namespace tranche
