// Optimizer state in host memory, updated there by the host's threads (ZeRO-Offload, Ren et al. 2021). Rounded masters
// go to the device piece by piece, beside the update of the next one.
#pragma once

#include <memory>
#include <vector>

#include "offload/config.h"
#include "offload/host_sums.h"
#include "runtime/optim/placement.h"

namespace tranche {

class Arrivals;

class HostPlacement : public OptimizerPlacement {
 public:
  // gradients: the dtype of what is summed. device: the one that computes, which holds the working copies. Both must
  // outlive the object.
  HostPlacement(const OffloadConfig& config, Precision precision, DType gradients, Device& device, Device& host);

  void adopt(const std::vector<Owned>& owned, std::uint64_t seed) override;
  void add_moment(const std::string& name) override;
  void round() override;
  SumPlacement& sums() override { return sums_; }

 protected:
  void do_update(const Shards& gradients, const Work& work) override;
  Tensor do_borrow(std::size_t kind, std::size_t unit) override { return state_.borrow(kind, unit); }
  void do_give_back(std::size_t kind, std::size_t unit, std::span<const float> borrowed) override {
    state_.give_back(kind, unit, borrowed);
  }

 private:
  // A rounded piece on its way to the device.
  struct Departing {
    Tensor rounded;
    Event gone;
  };

  void choose_units();
  bool on_host(std::size_t unit) const { return unit >= first_on_host_; }
  void over_pieces(const Shards& gradients, const Work& work, const Updated& updated);
  void over_pieces_of(std::size_t unit, const Tensor& gradient, const Work& work, Arrivals& arrivals);

  OffloadConfig config_;
  Precision precision_;
  Device &device_, &host_;
  const std::vector<Owned>* owned_ = nullptr;
  std::size_t first_on_host_ = 0;  // unit
  StateTensors state_;
  std::vector<Departing> departing_;  // a ring
  std::size_t turn_ = 0;
  std::unique_ptr<CopyStream> copies_;
  HostSums sums_;
};

}  // namespace tranche
