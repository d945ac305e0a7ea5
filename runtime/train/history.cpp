#include "runtime/train/history.h"

#include <cmath>
#include <limits>
#include <span>

namespace tranche {

void History::add(double loss, double norm) {
  Sha256 next;
  next.add(std::as_bytes(std::span{hash_}));
  for (double value : {loss, norm}) {
    if (!std::isfinite(value)) value = std::numeric_limits<double>::infinity();
    next.add(std::as_bytes(std::span{&value, 1}));
  }
  hash_ = next.hex();
}

}  // namespace tranche
