// What recomputation keeps, in host memory (DeepSpeed's "cpu_checkpointing"): each unit's input leaves the device
// beside the unit's forward, and comes back beside the backward of the unit behind it.
#pragma once

#include <memory>
#include <vector>

#include "runtime/nn/seams.h"

namespace tranche {

class HostActivations : public ActivationPolicy {
 public:
  // device: the one that computes. Both must outlive the object, which must outlive every tape that it ran on.
  HostActivations(Device& device, Device& host);

  Tensor run(const Forward& forward, const Tensor& x) const override;

 protected:
  // One unit's input on its way.
  struct Input {
    ~Input();
    std::size_t depth = 0;  // so many lie below it
    std::size_t bytes = 0;
    Shape shape;
    DType dtype = DType::float32;
    Tensor here{};     // on the device: before it has left, and when it is back
    Tensor on_host{};  // at least `bytes`, in whole pages
    Event left{}, back{}, written{}, read{};
  };

  // What has left is on the host; it may go on from there.
  virtual void rest(Input&) const {}
  // It has had a unit's forward to go on.
  virtual void settle(Input&) const {}
  // It is wanted on the host soon; now.
  virtual void call(Input&) const {}
  virtual void await(Input&) const {}

  Device& host_;

 private:
  Kept keep(const Tensor& x) const;
  Tensor bring_back(const std::shared_ptr<Input>& input) const;
  void send_back(Input& input) const;
  void forget_the_gone() const;  // from the top of the stack
  // The one that is `back` from the last, if its tape is still there.
  std::shared_ptr<Input> from_last(std::size_t back) const;

  Device& device_;
  std::unique_ptr<CopyStream> copies_;
  // A stack: forward pushes, backward pops. Tapes own what is in it, also when they go without backward.
  mutable std::vector<std::weak_ptr<Input>> inputs_;
};

}  // namespace tranche
