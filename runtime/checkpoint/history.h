// A running hash over every step's loss and gradient norm. It is part of the digest: a wrong norm can hide behind
// clipping, a wrong loss behind nothing at all.
#pragma once

#include <string>

namespace tranche::checkpoint {

// After step n: SHA-256 of (hex after step n - 1, loss, norm). A value that is not finite enters as one token: which
// infinity or NaN a reduction ends in may depend on its order.
class History {
 public:
  History() = default;
  explicit History(std::string hex) : hex_(std::move(hex)) {}  // goes on from a checkpoint's
  void add(double loss, double norm);
  const std::string& hex() const { return hex_; }  // empty before the first step

 private:
  std::string hex_;
};

}  // namespace tranche::checkpoint
