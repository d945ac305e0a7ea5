#include "runtime/nn/unit.h"

#include <algorithm>
#include <optional>

#include "runtime/base/trace.h"
#include "runtime/device/together.h"
#include "runtime/nn/moment.h"
#include "runtime/nn/seams.h"
#include "runtime/nn/tap.h"
#include "runtime/ops/elementwise.h"

namespace tranche {

// One forward call's use of a unit and of those it leases from; entered once by forward and once by backward.
class Visit {
 public:
  explicit Visit(Unit& unit) : units_{unit.leased_} {
    units_.insert(units_.begin(), &unit);
    if (owes_gradients_)
      for (Unit* each : units_) ++each->awaited_;
  }
  ~Visit() {
    leave();
    if (owes_gradients_)  // the tape was dropped without a backward
      for (Unit* each : units_) --each->awaited_;
  }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;

  // Collective: gathers the values.
  void enter() {
    const Doing frame{[&] { return str("visiting ", units_.front()->name()); }};
    for (Unit* unit : units_)
      if (unit->visitors_++ == 0) unit->seams_->parameters.gather(*unit);
    outer_ = std::exchange(innermost_, this);
    moment_before_ = std::exchange(Moment::now(), moment_);
    taps_before_ = std::exchange(InnerTaps::current(), taps_);
    inside_ = true;
  }
  // Local: the values go, and with them what was computed from parameters alone.
  void leave() {
    if (!std::exchange(inside_, false)) return;
    innermost_ = outer_;
    Moment::now() = moment_before_;
    InnerTaps::current() = std::move(taps_before_);
    for (const Derived& each : derived_) each.values->discard();
    for (Unit* unit : units_)
      if (--unit->visitors_ == 0) unit->seams_->parameters.release(*unit);
  }
  void enter_backward() {
    enter();
    Moment::now().backward = true;
    for (Unit* unit : units_) unit->open_gradient();
    doing_.emplace(Backward{units_.front()});
    backward_.emplace(trace::Kind::compute, "backward", units_.front()->name());
    together_.emplace(units_.front()->values_.device());
    for (const Derived& each : derived_) each.values->take_bytes_of(each.again().storage());
  }
  // Collective: reduces every gradient that is now complete. A tied one waits for its other visit.
  void leave_backward() {
    together_->end();
    backward_.reset();
    doing_.reset();
    leave();
    owes_gradients_ = false;
    for (Unit* unit : units_)
      if (--unit->awaited_ == 0) unit->seams_->gradients.reduce(*unit, unit->take_gradient());
  }

  // Saved tensors refer to `values`, which is as large as a parameter: dropped on leaving, made again on entering.
  static void derives(std::shared_ptr<Storage> values, std::function<Tensor()> again) {
    check(innermost_ != nullptr, values->name(), ": a parameter was used outside a visit to its unit");
    innermost_->derived_.push_back({std::move(values), std::move(again)});
  }

 private:
  struct Derived {
    std::shared_ptr<Storage> values;
    std::function<Tensor()> again;
  };

  struct Backward {
    const Unit* unit;
    std::string operator()() const { return "computing the backward of " + unit->name(); }
  };

  std::vector<Unit*> units_;
  std::vector<Derived> derived_;
  Visit* outer_ = nullptr;
  Moment moment_ = Moment::now(), moment_before_{};  // so that recomputation draws the same numbers
  std::shared_ptr<InnerTaps> taps_ = InnerTaps::current(), taps_before_{};  // to which it offers again
  bool inside_ = false, owes_gradients_ = Tape::current() != nullptr;
  std::optional<Doing<Backward>> doing_;
  std::optional<trace::Span> backward_;
  std::optional<Together> together_;
  static thread_local Visit* innermost_;
};

thread_local Visit* Visit::innermost_ = nullptr;

Tensor forward(Unit& unit, const Tensor& x) {
  const auto record = [tape = Tape::current()](Tape::Node node) {
    if (tape != nullptr) tape->record(std::move(node));
  };
  const auto visit = std::make_shared<Visit>(unit);
  visit->enter();
  record([visit] { visit->leave_backward(); });
  Tensor y = [&] {
    const Doing frame{[&] { return "computing the forward of " + unit.name(); }};
    const trace::Span span{trace::Kind::compute, "forward", unit.name()};
    Together together{x.device()};
    Tensor result = unit.seams_->activations.run(unit.forward_, x);
    together.end();
    return result;
  }();
  record([visit] { visit->enter_backward(); });
  visit->leave();
  return y;
}

// The transform is a recomputed segment: it keeps the parameter's handle, and nothing that has the size of a weight.
Tensor Parameter::tensor() const {
  check(unit != nullptr, name, " belongs to no unit");
  const WeightTransform& transform = unit->seams_->weights;
  if (!transform.wants(*this)) return value;
  const Tensor weight =
      recomputed(value, [&transform, this](const Tensor& raw) { return transform.apply(*this, raw); });
  if (Tape::current() != nullptr)
    Visit::derives(weight.shared_storage(),
                   [&transform, this, raw = value.detached()] { return transform.apply(*this, raw); });
  return weight;
}

Tensor Parameter::multiplied(const Tensor& x, const Tensor& bias) const {
  check(unit != nullptr, name, " belongs to no unit");
  return unit->seams_->linears.multiply(x, *this, bias);
}

Tensor Parameter::activated(ops::Activation kind, const Tensor& x, const Tensor& bias) const {
  check(unit != nullptr, name, " belongs to no unit");
  return unit->seams_->linears.activated(kind, x, *this, bias);
}

Tensor Parameter::rows(const Tensor& numbers) const {
  check(unit != nullptr, name, " belongs to no unit");
  return unit->seams_->linears.rows(numbers, *this);
}

Unit::Unit(std::string name, std::vector<Parameter*> parameters, Forward forward, std::vector<Unit*> leased)
    : name_(std::move(name)),
      parameters_(std::move(parameters)),
      forward_(std::move(forward)),
      leased_(std::move(leased)) {
  for (Parameter* parameter : parameters_) lay(*parameter);
}

void Unit::lay(Parameter& parameter) {
  parameter.unit = this;
  parameter.offset = std::exchange(size_, size_ + parameter.shape.size());
}

void Unit::rename(const std::string& prefix) {
  check(seams_ == nullptr, name_, " has another name after it was placed");
  name_ = prefix + name_;
  for (Parameter* parameter : parameters_) parameter->name = prefix + parameter->name;
}

void Unit::join(Parameter& parameter) {
  check(seams_ == nullptr, parameter.name, " comes to ", name_, " after it was placed");
  lay(parameter);
  parameters_.push_back(&parameter);
}

void Unit::place(std::size_t index, const Tensor& values, const Seams& seams) {
  index_ = index;
  values_ = values;
  seams_ = &seams;
  for (Parameter* parameter : parameters_) {
    parameter->value = values.view(parameter->offset, parameter->shape);
    parameter->value.set_variable(std::make_shared<Variable>());
  }
}

void Unit::initialise(std::uint64_t seed, std::size_t first, const Tensor& elements) const {
  elements.fill_zero();
  const std::size_t last = first + elements.size();
  for (const Parameter* parameter : parameters_) {
    const std::size_t begin = std::max(first, parameter->offset);
    const std::size_t end = std::min(last, parameter->offset + parameter->shape.size());
    if (begin >= end) continue;
    const Tensor part = elements.view(begin - first, {end - begin});
    if (parameter->initial.deviation == 0)
      ops::fill_constant(part, parameter->initial.mean);
    else
      ops::fill_normal(part, RandomKey{seed, Purpose::initialise}(hash_of(parameter->name)), begin - parameter->offset,
                       parameter->initial.mean, parameter->initial.deviation);
  }
}

void Unit::open_gradient() {
  if (gradient_) return;  // a tied unit's other visit has begun it
  gradient_ =
      Tensor::empty(values_.device(), name_ + " gradient", Category::gradients, values_.shape(), values_.dtype());
  for (Parameter* parameter : parameters_)
    parameter->value.variable()->bind(gradient_.view(parameter->offset, parameter->shape));
}

// What no contribution reached is zero: so is the padding.
Tensor Unit::take_gradient() {
  if (!gradient_) return {};
  for (Parameter* parameter : parameters_) {
    Variable& variable = *parameter->value.variable();
    if (!variable.received()) gradient_.view(parameter->offset, parameter->shape).fill_zero();
    variable.unbind();
  }
  gradient_.view(size_, {gradient_.size() - size_}).fill_zero();
  return std::exchange(gradient_, {});
}

}  // namespace tranche
