// Sums of gradients in host memory: what backward gave on the device goes there in pieces, and is added there.
#pragma once

#include <functional>
#include <memory>

#include "runtime/device/copy_stream.h"
#include "runtime/device/side_stream.h"
#include "runtime/device/work_queue.h"
#include "runtime/nn/seams.h"

namespace tranche {

class HostSums : public SumPlacement {
 public:
  // Whether a unit's sum lies on `host`; else it stays on the device that computes.
  using OnHost = std::function<bool(const Unit&)>;

  // device: the one that computes. Both must outlive the object. dtype: of what will be added.
  HostSums(Device& device, Device& host, DType dtype, OnHost on_host);

  Device& home(const Unit& unit, Device& computes) override;
  void add(std::span<const std::byte> from, DType dtype, const Tensor& sum) override;
  Event add(const Tensor& gradient, const Tensor& sum) override;

 private:
  Device& host_;
  OnHost on_host_;
  Tensor arriving_[2];  // on the host: one piece is added while the next one comes
  std::unique_ptr<CopyStream> copies_;
  std::unique_ptr<SideStream> beside_;  // on which the thread below waits for a gradient
  WorkQueue adds_{"host sums"};         // last: each uses those before it
};

}  // namespace tranche
