// A running hash over every step's loss and gradient norm. It is part of the digest: a wrong norm can hide behind
// clipping, and a wrong loss behind everything.
#pragma once

#include <string>

#include "runtime/base/sha256.h"

namespace tranche {

class History {
 public:
  // Values that are not finite count as one token, whatever their bits.
  void add(double loss, double norm);
  const std::string& hash() const { return hash_; }            // hexadecimal; empty before the first step
  void restore(std::string hash) { hash_ = std::move(hash); }

 private:
  std::string hash_;
};

}  // namespace tranche
