// The CPU as a device: memory with a capacity of its own, and a pool of threads.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <vector>

#include "runtime/device/cpu/thread_pool.h"
#include "runtime/device/device.h"

namespace tranche {

// Freed memory is kept for the next allocation of the same size class, because first touch of fresh pages costs far
// more than anything done with them: after the first step a training loop asks the system for nothing.
class CpuDevice : public Device {
 public:
  // threads: how many compute, the calling one included.
  explicit CpuDevice(std::size_t threads = 1, std::size_t capacity = unlimited);
  ~CpuDevice() override;

  ThreadPool& pool() { return pool_; }

 protected:
  std::byte* allocate_bytes(std::size_t bytes) override;
  void free_bytes(std::byte* data, std::size_t bytes) override;

 private:
  std::mutex mutex_;
  std::map<std::size_t, std::vector<std::byte*>> free_;  // by size class
  ThreadPool pool_;
};

// What a kernel that runs on `device` divides its work with. The device must be a CpuDevice.
inline ThreadPool& pool_of(Device& device) { return static_cast<CpuDevice&>(device).pool(); }

}  // namespace tranche
