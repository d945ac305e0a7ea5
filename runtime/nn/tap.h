// Values inside units that someone outside asks for by name: "blocks.3.attention.qkv".
//
// A layer offers what it computes; where nobody asked, nothing happens. What is offered keeps its link to the tape,
// also where the unit is recomputed: the forward that backward runs again hands on the gradient that came meanwhile.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "runtime/autograd/tape.h"

namespace tranche {

// What one forward of a model is asked for. A visit carries it from the forward to the backward. One thread at a time.
class InnerTaps {
 public:
  InnerTaps() = default;
  InnerTaps(const InnerTaps&) = delete;
  InnerTaps& operator=(const InnerTaps&) = delete;

  void ask(const std::string& name) { asked_[name]; }
  // What a layer offered, once. Throws Exit::internal if none did.
  Tensor take(const std::string& name);
  // x must stay as it is until its backward.
  static void offer(const std::string& name, const Tensor& x);

  // Those that layers of this thread offer to; null: nobody asks.
  static std::shared_ptr<InnerTaps>& current();

 private:
  struct Tap {
    Tensor value;
    std::shared_ptr<Variable> gradient;  // null: nothing is recorded
    bool offered = false;
  };
  std::map<std::string, Tap> asked_;
  bool recorded_ = Tape::current() != nullptr;
};

// For a scope.
class Tapping {
 public:
  explicit Tapping(std::shared_ptr<InnerTaps> taps) : before_(std::exchange(InnerTaps::current(), std::move(taps))) {}
  ~Tapping() { InnerTaps::current() = std::move(before_); }
  Tapping(const Tapping&) = delete;
  Tapping& operator=(const Tapping&) = delete;

 private:
  std::shared_ptr<InnerTaps> before_;
};

}  // namespace tranche
