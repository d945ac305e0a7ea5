// Slices of working parameters in host memory (ZeRO-Infinity, Rajbhandari et al. 2021).
#pragma once

#include <memory>
#include <vector>

#include "runtime/nn/seams.h"

namespace tranche {

class HostSlices : public SlicePlacement {
 public:
  // device: the one that computes. Both must outlive the object.
  HostSlices(Device& device, Device& host) : device_(device), host_(host), copies_(device.copy_stream()) {}

  void adopt(const Unit& unit, std::size_t elements, DType dtype) override;
  void fetch(const Unit& unit) override;
  std::span<const std::byte> fetched(const Unit& unit) override;
  void evict(const Unit& unit) override;
  Event write(const Unit& unit, std::size_t first, const Tensor& from) override;

 private:
  struct Slice {
    Tensor kept;
    Tensor on_device{};  // while it is fetched
    Event arrival{};
  };

  Device &device_, &host_;
  std::vector<Slice> slices_;           // by unit
  std::unique_ptr<CopyStream> copies_;  // last: it waits for copies of the rest
};

}  // namespace tranche
