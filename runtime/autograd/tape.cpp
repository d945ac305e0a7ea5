#include "runtime/autograd/tape.h"

#include "runtime/ops/elementwise.h"

namespace tranche {
namespace {
thread_local Tape* current_tape = nullptr;
thread_local std::vector<std::vector<Tape::Node>> spare_nodes;  // empty ones, with what they had reserved
}  // namespace

ops::Destination Variable::destination(const Tensor& like) {
  if (bound_) return {gradient_, received_};
  if (gradient_ && !shared_) return {gradient_, true};
  // Another node may still read the first contribution: the sum goes to bytes of our own.
  Tensor own = like.sibling("gradient", like.shape(), like.dtype());
  if (gradient_) ops::store(gradient_, {own, false});
  return {own, static_cast<bool>(gradient_)};
}

void Variable::commit(const ops::Destination& written) {
  received_ = true;
  if (bound_) return;
  gradient_ = written.tensor;
  shared_ = false;
}

void Variable::add(const Tensor& contribution) {
  if (!bound_ && !gradient_) {
    gradient_ = contribution.detached();  // shared with its maker, so from here on it is only read
    received_ = shared_ = true;
    return;
  }
  const ops::Destination to = destination(contribution);
  ops::store(contribution, to);
  commit(to);
}

Tensor Variable::take() {
  received_ = shared_ = false;
  return std::exchange(gradient_, {});
}

void Variable::bind(Tensor view) {
  gradient_ = std::move(view);
  bound_ = true;
  received_ = shared_ = false;
}

void Variable::unbind() {
  gradient_ = {};
  bound_ = received_ = shared_ = false;
}

// A tape is made for each micro-batch, and one for each recomputed segment: they pass on the memory of their nodes.
Tape::Tape() {
  if (spare_nodes.empty()) return;
  nodes_ = std::move(spare_nodes.back());
  spare_nodes.pop_back();
}

Tape::~Tape() {
  while (!nodes_.empty()) nodes_.pop_back();
  spare_nodes.push_back(std::move(nodes_));
}

Tape* Tape::current() { return current_tape; }
Recording::Recording(Tape* tape) : before_(std::exchange(current_tape, tape)) {}
Recording::~Recording() { current_tape = before_; }

void Tape::backward(const Tensor& output, const Tensor& gradient) {
  const Recording pause{nullptr};
  check(output.variable() != nullptr, "backward: ", output.name(),
        " does not depend on anything that needs a gradient");
  output.variable()->add(gradient);
  while (!nodes_.empty()) {
    const Node node = std::move(nodes_.back());
    nodes_.pop_back();
    node();
  }
}

Tensor recomputed(const Tensor& x, Forward forward) {
  return recomputed(x, std::move(forward), [](const Tensor& given) { return [given] { return given; }; });
}

Tensor recomputed(const Tensor& x, Forward forward, const std::function<Kept(const Tensor&)>& keep) {
  Tape* tape = Tape::current();
  const Recording pause{nullptr};
  const Kept kept = tape != nullptr ? keep(x) : Kept{};
  Tensor y = forward(x.detached());
  if (tape == nullptr) return y;
  y.set_variable(std::make_shared<Variable>());
  tape->record([kept, variable = x.variable(), forward = std::move(forward), result = y.variable()] {
    const Tensor gradient = result->take();
    if (!gradient) return;
    Tensor start = kept().detached();
    if (variable) start.set_variable(std::make_shared<Variable>());
    Tape again;
    Tensor y_again;
    {
      const Recording on{&again};
      y_again = forward(start);
    }
    again.backward(y_again, gradient);
    y_again = {};
    if (variable)
      if (const Tensor dx = start.variable()->take()) variable->add(dx);
  });
  return y;
}

}  // namespace tranche
