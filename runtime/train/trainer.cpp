#include "runtime/train/trainer.h"

#include "runtime/base/trace.h"
#include "runtime/nn/moment.h"
#include "runtime/ops/elementwise.h"
#include "runtime/optim/clip.h"

namespace tranche {

Trainer::Trainer(const Config& config, Model& model, const Seams& seams, LossScaler& scaler, const Objective& objective,
                 Optimizer& optimizer, OwnerState& state, Schedule schedule, Communicator& world)
    : config_(config),
      model_(model),
      parameters_(seams.parameters),
      gradients_(seams.gradients),
      scaler_(scaler),
      objective_(objective),
      optimizer_(optimizer),
      state_(state),
      schedule_(std::move(schedule)),
      world_(world) {}

StepReport Trainer::step(const Batch& batch) {
  const Doing frame{[&] { return str("training step ", step_ + 1); }};
  const trace::Span span{trace::Kind::step, "step", step_ + 1};
  model_.set_training(true);
  state_.begin_step(updates_);
  std::vector<double> losses;
  for (const MicroBatch& micro : batch) losses.push_back(accumulate(micro));  // forward, backward, reduce
  const Shards gradients = gradients_.finish();                               // we now own 1/N of the gradient
  StepReport report{.loss = mean_over_ranks(losses), .loss_scale = scaler_.scale()};
  const Rates rates = schedule_(updates_);
  report.learning_rate = rates.rate;
  report.norm = scaler_.unscale(gradients);  // every rank agrees on it
  if (report.norm.finite()) {
    clip(gradients, report.norm.value, config_.gradient_clipping);
    optimizer_.update(gradients, rates, updates_);
    parameters_.publish();  // the rounded masters reach those who compute
    if (state_.after_update(updates_ + 1)) parameters_.publish();
    ++updates_;
  }
  state_.end_step(report.norm.finite());
  scaler_.adapt(report.norm);
  history_.add(report.loss, report.norm.value);
  ++step_;
  return report;
}

double Trainer::accumulate(const MicroBatch& micro) {
  const Doing frame{[&] { return str("computing micro-batch ", micro.number); }};
  const trace::Span span{trace::Kind::step, "micro-batch", std::uint64_t{micro.number}};
  Moment::now() = {.step = step_, .micro_batch = micro.number};
  parameters_.begin_micro_batch();
  Tape tape;
  const Tensor loss = [&] {
    const Recording on{&tape};
    return loss_of(model_, objective_, micro);
  }();
  const Tensor seed = loss.sibling("loss scale", {1}, DType::float32);
  ops::fill_constant(seed, scaler_.scale() / static_cast<float>(config_.deal.micro_batches));
  tape.backward(loss, seed);
  gradients_.end_micro_batch();
  return static_cast<double>(loss.scalar<float>());
}

// In micro-batch order, whoever computed them.
double Trainer::mean_over_ranks(const std::vector<double>& losses) const {
  const std::vector<double> all = world_.gather(losses, "losses");  // (ranks, per rank)
  std::vector<double> ordered(config_.deal.micro_batches);
  std::size_t next = 0;
  for (std::size_t rank = 0; rank < world_.size(); ++rank)
    for (const std::size_t number : config_.deal.of_rank(rank)) ordered[number] = all[next++];
  double sum = 0;
  for (const double loss : ordered) sum += loss;
  return sum / static_cast<double>(ordered.size());
}

void Trainer::restore(std::uint64_t steps, std::uint64_t updates, const std::string& history) {
  step_ = steps;
  updates_ = updates;
  history_ = checkpoint::History{history};
}

}  // namespace tranche
