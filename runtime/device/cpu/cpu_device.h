// The CPU as a device: memory with a capacity of its own, and a pool of threads.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>

#include "runtime/device/cpu/arena.h"
#include "runtime/device/cpu/thread_pool.h"
#include "runtime/device/device.h"
#include "runtime/device/memory_file.h"
#include "runtime/device/reserved_memory.h"

namespace tranche {

// Whether other ranks of the host may read what they need of a device where it lies.
enum class Sharing { nothing, with_host };

// All memory comes from an arena, which keeps what is freed, because first touch of fresh pages costs far more than
// anything done with them: after the first step a training loop asks the system for nothing. An arena is a stretch of
// addresses as long as the machine's memory, in huge pages where the system gives them; pages come as it fills.
//
// With Sharing::with_host, parameters, gradients and what is communicated lie in a memory file, an arena of its own,
// and all else in memory of the process's own, which has huge pages more often. Where the system has no such files it
// says so, and memory_file() is null.
class CpuDevice : public Device {
 public:
  // threads: how many compute, the calling one included.
  explicit CpuDevice(std::size_t threads = 1, std::size_t capacity = unlimited, Sharing sharing = Sharing::nothing,
                     Tier tier = Tier::device);
  ~CpuDevice() override;

  ThreadPool& pool() { return pool_; }
  std::string description() const override;
  std::unique_ptr<CopyStream> copy_stream() override;
  const MemoryFile* memory_file() const override { return file_.get(); }

 protected:
  std::byte* allocate_bytes(std::size_t bytes, Category category) override;
  void free_bytes(std::byte* data, std::size_t bytes) override;

 private:
  // An arena with its memory, of which the first `reached` bytes can be used.
  struct Ground {
    std::byte* data = nullptr;
    Arena arena;
    std::size_t reached = 0;
  };
  std::byte* take(Ground& ground, std::size_t bytes);
  bool reach(Ground& ground, std::size_t end);
  bool in_file(const std::byte* data) const { return file_ != nullptr && file_->holds({data, 1}); }

  std::mutex mutex_;
  ReservedMemory memory_;
  std::unique_ptr<MemoryFile> file_;
  Ground own_, shared_;
  ThreadPool pool_;
};

// What a kernel that runs on `device` divides its work with. The device must be a CpuDevice.
inline ThreadPool& pool_of(Device& device) { return static_cast<CpuDevice&>(device).pool(); }

}  // namespace tranche
