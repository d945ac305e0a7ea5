// A device of type cuda whose memory is the emulator's. The host may address it, which tests do to fill and read it.
#pragma once

#include "runtime/device/device.h"

namespace tranche::cuda_emulation {

class EmulatedDevice : public Device {
 public:
  EmulatedDevice() : Device(DeviceType::cuda, unlimited) {}
  std::string description() const override { return "an emulated GPU"; }
  std::unique_ptr<CopyStream> copy_stream() override;

 protected:
  std::byte* allocate_bytes(std::size_t bytes, Category category) override;
  void free_bytes(std::byte* data, std::size_t bytes) override;
};

}  // namespace tranche::cuda_emulation
