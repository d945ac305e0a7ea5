// Parameters that nobody updates: there are no masters and no moments, only the working copies.
#pragma once

#include "runtime/device/copy_stream.h"
#include "runtime/optim/placement.h"

namespace tranche {

// What is given back is rounded to the working copy, wherever that lies: this is for loading, one unit at a time, and
// not for saving, because what is borrowed are zeros.
class FrozenPlacement : public OptimizerPlacement {
 public:
  explicit FrozenPlacement(Device& device) : device_(device), copies_(device.copy_stream()) {}

  // Initial values are zeros.
  void adopt(const std::vector<Owned>& owned, std::uint64_t seed) override;
  void add_moment(const std::string&) override { check(false, "a frozen model has no optimizer"); }
  void round() override {}
  SumPlacement& sums() override { return sums_; }

 protected:
  void do_update(const Shards&, const Work&) override { check(false, "a frozen model is not updated"); }
  Tensor do_borrow(std::size_t kind, std::size_t unit) override;
  void do_give_back(std::size_t kind, std::size_t unit, std::span<const float> borrowed) override;

 private:
  Device& device_;
  std::unique_ptr<CopyStream> copies_;
  SumPlacement sums_;
  const std::vector<Owned>* owned_ = nullptr;
  Tensor borrowed_;
};

}  // namespace tranche
