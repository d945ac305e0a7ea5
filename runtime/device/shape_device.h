// A device that has shapes and no bytes: for plans.
#pragma once

#include "runtime/device/device.h"

namespace tranche {

// Every allocation is a run of addresses that no processor maps: the ledger counts it, the machine gives nothing for it
// (not even address space, so a plan is as large as it likes), and a read or a write ends the process. Kernels of
// DeviceType::shape compute nothing; what the host reads is zero.
class ShapeDevice : public Device {
 public:
  explicit ShapeDevice(std::size_t capacity = unlimited, Tier tier = Tier::device)
      : Device(DeviceType::shape, capacity, tier) {}

  std::string description() const override { return "shapes"; }
  std::unique_ptr<CopyStream> copy_stream() override;  // copies nothing
  void fill_zero(std::byte*, std::size_t) override {}
  void read(const std::byte* data, std::span<std::byte> into) const override;
  void write(std::byte*, std::span<const std::byte>) override {}

 protected:
  std::byte* allocate_bytes(std::size_t bytes, Category category) override;
  void free_bytes(std::byte*, std::size_t) override {}
};

}  // namespace tranche
