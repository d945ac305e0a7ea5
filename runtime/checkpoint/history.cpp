#include "runtime/checkpoint/history.h"

#include <cmath>
#include <ios>

#include "runtime/base/error.h"
#include "runtime/base/sha256.h"

namespace tranche::checkpoint {

void History::add(double loss, double norm) {
  const auto token = [](double value) { return std::isfinite(value) ? str(std::hexfloat, value) : "non-finite"; };
  Sha256 sha;
  sha.add(str(hex_, " ", token(loss), " ", token(norm)));
  hex_ = sha.hex();
}

}  // namespace tranche::checkpoint
