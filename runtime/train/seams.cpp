#include "runtime/train/seams.h"

#include <algorithm>

#include "runtime/autograd/functions.h"
#include "runtime/base/trace.h"
#include "runtime/ops/reduce.h"

namespace tranche {
namespace {

constexpr std::size_t blocks_in(std::size_t elements) { return (elements + ops::block - 1) / ops::block; }

// The parameter that holds element `at` of the unit's flat layout, with its index: "name[7, 12]".
std::string place_of(const Unit& unit, std::size_t at) {
  for (const Parameter* parameter : unit.parameters()) {
    if (at < parameter->offset || at >= parameter->offset + parameter->shape.size()) continue;
    std::size_t rest = at - parameter->offset, inner = parameter->shape.size();
    std::string index;
    for (const std::size_t size : parameter->shape.sizes()) {
      inner /= size;
      index += str(index.empty() ? "" : ", ", rest / inner);
      rest %= inner;
    }
    return str(parameter->name, "[", index, "]");
  }
  return str(unit.name(), ", element ", at);
}

}  // namespace

double number_of(const NamedNumbers& numbers, const std::string& name) {
  const auto found = numbers.find(name);
  ensure(Exit::checkpoint, found != numbers.end(), "the checkpoint has no '", name,
         "', which this job keeps: it was written with other settings (fp16, compression_training); resume with those");
  return found->second;
}

void OwnerStates::begin_step(std::uint64_t updates) {
  for (OwnerState* state : states_) state->begin_step(updates);
}
bool OwnerStates::after_update(std::uint64_t updates) {
  bool changed = false;
  for (OwnerState* state : states_) changed = state->after_update(updates) || changed;
  return changed;
}
void OwnerStates::end_step(bool taken) {
  for (OwnerState* state : states_) state->end_step(taken);
}
NamedNumbers OwnerStates::state() const {
  NamedNumbers all;
  for (const OwnerState* state : states_) all.merge(state->state());
  return all;
}
void OwnerStates::restore(const NamedNumbers& numbers) {
  for (OwnerState* state : states_) state->restore(numbers);
}

Tensor Objective::loss(const Tensor& logits, const Taps& /*taps*/, const MicroBatch& micro) const {
  return autograd::cross_entropy(logits, micro.targets);
}

Tensor loss_of(Model& model, const Objective& objective, const MicroBatch& micro) {
  Taps taps = objective.taps();
  const Tensor logits = model.forward(micro.tokens, taps);
  return objective.loss(logits, taps, micro);
}

GradientNorm scaled_norm(const Shards& gradients, float factor, const std::vector<Owned>& owned,
                         Communicator& replica) {
  const trace::Span span{trace::Kind::optimizer, "gradient norm"};
  // One gather for all units: ranks hold equally many blocks of each, and so does every row of the result.
  std::size_t blocks = 0;  // of a rank
  for (const Tensor& gradient : gradients) blocks += gradient.size() / ops::block;
  Device& device = gradients.front().device().staging();
  const Buffer partials = device.allocate(replica.size() * blocks * sizeof(double), Category::communication,
                                          "partial sums of the gradient norm");
  const std::span all{reinterpret_cast<double*>(partials.data()), replica.size() * blocks};  // (ranks, blocks)
  const std::span mine = all.subspan(replica.rank() * blocks, blocks);
  for (std::size_t u = 0, first = 0; u < gradients.size(); ++u) {
    const std::size_t count = gradients[u].size() / ops::block;
    ops::scale_and_sum_squares(gradients[u], factor, mine.subspan(first, count));
    first += count;
  }
  replica.all_gather_staged(std::as_bytes(mine), std::as_writable_bytes(all), "gradient norm");

  double squares = 0;
  std::size_t first = 0;  // of this unit in a rank's row
  for (std::size_t u = 0; u < gradients.size(); ++u) {
    const std::size_t count = gradients[u].size() / ops::block;
    squares = ops::add_in_order(device, squares,
                                {.values = all.data() + first,
                                 .count = count,
                                 .stride = blocks,
                                 // Blocks beyond the unit are padding: not summed.
                                 .total = std::min(blocks_in(owned[u].unit->size()), replica.size() * count)});
    first += count;
  }
  return {std::sqrt(squares)};
}

std::string first_non_finite(const Shards& gradients, const std::vector<Owned>& owned, Communicator& replica) {
  // The first in the order of units and of their flat layouts; ranks hold slices in rank order.
  std::string mine;
  for (std::size_t u = 0; u < gradients.size() && mine.empty(); ++u)
    if (const auto at = ops::first_non_finite(gradients[u]))
      mine = str(u, " ", place_of(*owned[u].unit, owned[u].first + *at), " = ",
                 gradients[u].view(*at, {1}).scalar<float>(), " on rank ", replica.rank());
  std::string first;
  std::size_t first_unit = gradients.size();
  for (const std::string& each : replica.gather_text(mine, "first non-finite gradient")) {
    if (each.empty()) continue;
    const std::size_t unit = std::stoul(each);
    if (unit < first_unit) {
      first_unit = unit;
      first = each.substr(each.find(' ') + 1);
    }
  }
  return first;
}

GradientNorm NoScaling::unscale(const Shards& gradients) {
  const GradientNorm norm = scaled_norm(gradients, 1, owned_, replica_);
  if (!norm.finite()) {
    const std::string where = first_non_finite(gradients, owned_, replica_);
    fail(Exit::numerics, str("the gradient is not finite: ", where.empty() ? "its norm overflows" : where,
                             "; lower the learning rate, clip gradients, or look at the data of this step"));
  }
  return norm;
}

}  // namespace tranche
