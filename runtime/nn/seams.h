// Where features reach a model, and the plain defaults that train one replica on one rank. Layers know nothing of this.
#pragma once

#include <memory>
#include <vector>

#include "runtime/device/copy_stream.h"
#include "runtime/device/event.h"
#include "runtime/nn/unit.h"

namespace tranche {

// Working parameters have this dtype; half ones are rounded from float32 masters that their owner keeps.
struct Precision {
  DType working = DType::float32;
  bool keeps_master() const { return is_half(working); }
};

// Where a rank's slices of working parameters lie between visits, when that is not on the device that computes. One
// thread calls.
class SlicePlacement {
 public:
  virtual ~SlicePlacement() = default;
  // Room for a unit's slice.
  virtual void adopt(const Unit& unit, std::size_t elements, DType dtype) = 0;
  // Begins to bring a slice to the device; returns at once.
  virtual void fetch(const Unit& unit) = 0;
  // Waits for what fetch began; the slice, in memory that collectives take, until evict.
  virtual std::span<const std::byte> fetched(const Unit& unit) = 0;
  virtual void evict(const Unit& unit) = 0;
  // Elements `first` .. of a slice that is not fetched become `from`, of its dtype and in memory of this host, which
  // stays until the event.
  virtual Event write(const Unit& unit, std::size_t first, const Tensor& from) = 0;
};

// What this rank owns of one unit: elements first .. first + size of its flat layout.
struct Owned {
  Unit* unit = nullptr;
  std::size_t first = 0, size = 0;
  Tensor working{};                // (1, size), of the working dtype: what a visit computes with; none if it is away
  SlicePlacement* away = nullptr;  // where it lies then

  // Elements `begin` .. of the working copy become `from`, of its dtype, which stays until the event.
  Event receive(std::size_t begin, const Tensor& from, CopyStream& copies) const;
};

using Shards = std::vector<Tensor>;  // float32 gradients, one for each Owned; both are indexed by unit

// Who holds parameters, and when. One rank calls from one thread; ranks call in the same order.
class ParameterStore {
 public:
  virtual ~ParameterStore() = default;
  // Lays the unit out, on this rank its working copy of what it owns, uninitialised. Whoever fills it (an
  // OptimizerPlacement does) calls publish after the last.
  virtual void adopt(Unit& unit, const Seams& seams) = 0;
  virtual void begin_micro_batch() {}    // the same gathers as last time are to be expected, in the same order
  virtual void gather(Unit& unit) = 0;   // collective; afterwards the unit's values can be read
  virtual void release(Unit& unit) = 0;  // local
  virtual const std::vector<Owned>& owned() const = 0;
  // A unit's working slice is updated: it may begin to reach those who compute, beside the update of others.
  // Collective: ranks call in the same order.
  virtual void begin_publish(Unit&) {}
  virtual void publish() = 0;  // collective: all working slices, updated, reach those who compute
};

// Where sums of gradients lie, and how what backward gave reaches them. The default: on the device that computes.
class SumPlacement {
 public:
  virtual ~SumPlacement() = default;
  virtual Device& home(const Unit&, Device& computes) { return computes; }
  // sum += from, exactly as float32; from any thread, one addition at a time.
  virtual void add(std::span<const std::byte> from, DType dtype, const Tensor& sum);
  // The same of a whole gradient, which stays until the event; the event before has been waited for.
  virtual Event add(const Tensor& gradient, const Tensor& sum);
};

// Who sums gradients, and when.
class GradientSync {
 public:
  virtual ~GradientSync() = default;
  // Collective. gradient: (1, flat) of the unit's working dtype, one micro-batch's whole gradient; takes the buffer.
  virtual void reduce(Unit& unit, Tensor gradient) = 0;
  virtual void end_micro_batch() = 0;
  // Collective: sums over the step's micro-batches, in their order, for what this rank owns.
  virtual Shards finish() = 0;
};

// What a layer computes with in place of a stored weight (fake quantization, a mask). The default wants none.
class WeightTransform {
 public:
  virtual ~WeightTransform() = default;
  virtual bool wants(const Parameter&) const { return false; }
  // Forward code; a pure function of the weight's values, which are at hand.
  virtual Tensor apply(const Parameter&, const Tensor& values) const { return values; }
};

// How layers multiply a stored weight and read a table's rows. The default: as the numbers that they are.
class LinearForm {
 public:
  virtual ~LinearForm() = default;
  // x weight^T + bias.  x: (..., in), weight: (out, in), bias: (out) or none
  virtual Tensor multiply(const Tensor& x, const Parameter& weight, const Tensor& bias) const;
  // The activation of that. The default: of multiply()'s result; where both may be one pass, NumberForm's.
  virtual Tensor activated(ops::Activation kind, const Tensor& x, const Parameter& weight, const Tensor& bias) const;
  // numbers: (...) int32, table: (rows, width); returns (..., width)
  virtual Tensor rows(const Tensor& numbers, const Parameter& table) const;
};
class NumberForm final : public LinearForm {
 public:
  Tensor activated(ops::Activation kind, const Tensor& x, const Parameter& weight, const Tensor& bias) const override;
};
inline const NumberForm number_form;

// What of a unit's forward is kept for its backward. The default keeps all.
class ActivationPolicy {
 public:
  virtual ~ActivationPolicy() = default;
  virtual Tensor run(const Forward& forward, const Tensor& x) const { return forward(x); }
};

// Keeps each unit's input, and runs its forward again in backward.
class RecomputeActivations : public ActivationPolicy {
 public:
  Tensor run(const Forward& forward, const Tensor& x) const override { return recomputed(x, forward); }
};

struct Seams {
  ParameterStore& parameters;
  GradientSync& gradients;
  const WeightTransform& weights;
  const ActivationPolicy& activations;
  const LinearForm& linears = number_form;
};

// Everything on this rank. `multiple` pads a unit's flat layout, elements.
class ResidentStore : public ParameterStore {
 public:
  ResidentStore(Device& device, Precision precision, std::size_t multiple);

  void adopt(Unit& unit, const Seams& seams) override;
  void gather(Unit&) override {}
  void release(Unit&) override {}
  const std::vector<Owned>& owned() const override { return owned_; }
  void publish() override {}

 private:
  Device& device_;
  Precision precision_;
  std::size_t multiple_;
  std::vector<Owned> owned_;
};

// One rank: the float32 sum over micro-batches, in their order; with a reduction block, of the sums of blocks.
class LocalSync : public GradientSync {
 public:
  // reduction_block: micro-batches that are summed by themselves before their sum is added.
  explicit LocalSync(SumPlacement& place, std::size_t reduction_block = 1)
      : place_(place), reduction_block_(reduction_block) {}
  ~LocalSync() override;

  void reduce(Unit& unit, Tensor gradient) override;
  void end_micro_batch() override;
  Shards finish() override;

 private:
  void add(const Unit& unit, Tensor gradient);
  void wait();

  SumPlacement& place_;
  std::size_t reduction_block_, in_block_ = 0;
  std::vector<Unit*> units_;  // by index, as they come
  Shards sums_, block_sums_;
  Event done_;  // of the addition under way, which reads in_flight_
  Tensor in_flight_;
};

// sums[unit], which begins as zeros in every implementation alike.
Tensor& sum_of(Shards& sums, const Unit& unit, Device& home, std::size_t elements);
// sums[unit] += gradient in float32, on the gradient's device.
void add_to_sum(Shards& sums, const Unit& unit, const Tensor& gradient);
}  // namespace tranche
