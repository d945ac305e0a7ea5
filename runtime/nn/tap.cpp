#include "runtime/nn/tap.h"

namespace tranche {

std::shared_ptr<InnerTaps>& InnerTaps::current() {
  thread_local std::shared_ptr<InnerTaps> current;
  return current;
}

Tensor InnerTaps::take(const std::string& name) {
  const auto found = asked_.find(name);
  check(found != asked_.end() && found->second.offered, "the model has no unit and no layer that gives ", name);
  return std::exchange(found->second.value, {});
}

void InnerTaps::offer(const std::string& name, const Tensor& x) {
  const std::shared_ptr<InnerTaps>& taps = current();
  if (!taps) return;
  const auto asked = taps->asked_.find(name);
  if (asked == taps->asked_.end()) return;
  Tap& tap = asked->second;
  if (!std::exchange(tap.offered, true)) {
    tap.value = x.detached();
    if (taps->recorded_) tap.value.set_variable(tap.gradient = std::make_shared<Variable>());
  }
  if (Tape::current() != nullptr && tap.gradient && x.variable())
    Tape::current()->record([into = x.variable(), from = tap.gradient] {
      if (const Tensor gradient = from->take()) into->add(gradient);
    });
}

}  // namespace tranche
