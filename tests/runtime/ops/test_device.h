// Where the tests of kernels run: the CPU (cpu_test_device.cpp), or an emulated GPU (tests/cuda_emulation), whichever
// is linked. The tests are the same: what holds for one backend holds for each.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "runtime/device/device.h"

namespace tranche::ops {

// threads: where a device has such; 0: as many as it likes.
std::unique_ptr<Device> make_test_device(std::size_t threads);

class TestDevice {
 public:
  explicit TestDevice(std::size_t threads = 0) : device_(make_test_device(threads)) {}
  operator Device&() const { return *device_; }

 private:
  std::unique_ptr<Device> device_;
};

// work(device, name) on each way to run that must give the same bits.
void on_every_test_device(const std::function<void(Device&, const std::string&)>& work);

}  // namespace tranche::ops
