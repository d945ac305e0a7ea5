// A part of a step whose kernels a device may be given as one.
#pragma once

#include <utility>

#include "runtime/device/device.h"

namespace tranche {

// From its making to end(). On the thread that computes; one within another ends both.
class Together {
 public:
  explicit Together(Device& device) : device_(&device) { device.begin_together(); }
  ~Together() {
    try {
      end();
    } catch (...) {  // another error is on its way
    }
  }
  Together(const Together&) = delete;
  Together& operator=(const Together&) = delete;

  void end() {
    if (Device* const device = std::exchange(device_, nullptr)) device->end_together();
  }

 private:
  Device* device_;
};

}  // namespace tranche
