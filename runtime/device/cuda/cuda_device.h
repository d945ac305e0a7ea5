// A GPU as a device. It computes on one stream, in the order of the calls; copies between tiers and what collectives
// bring have streams of their own, which wait for it where they begin.
//
// Memory is ordered by the stream that computes: a block that is freed may be given out again at once, since whatever
// uses it next comes after. A thread inside SideStream::run has the same guarantee for its side stream. Who lets
// another stream use a buffer keeps it until the event of that use, as on the CPU.
//
// With graphs, the computing stream's work between begin_together and end_together is launched at the end, or where the
// computing thread waits for it, notes its place, or needs memory that CUDA must give. No other thread can have that
// stream wait meanwhile: what a side stream frees comes back when the next part begins, and it takes nothing.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/device/cuda/captures.h"
#include "runtime/device/cuda/kept_blocks.h"
#include "runtime/device/cuda/pinned_host.h"
#include "runtime/device/cuda/runtime.h"
#include "runtime/device/device.h"
#include "runtime/device/side_stream.h"

namespace tranche::cuda {

class CudaDevice : public Device {
 public:
  // ordinal: CUDA's number of the GPU.
  CudaDevice(int ordinal, std::string name, std::size_t capacity);
  ~CudaDevice() override;

  std::string description() const override;
  void fill_zero(std::byte* data, std::size_t bytes) override;
  void read(const std::byte* data, std::span<std::byte> into) const override;
  void write(std::byte* data, std::span<const std::byte> from) override;
  std::unique_ptr<CopyStream> copy_stream() override;
  std::unique_ptr<SideStream> side_stream() override;
  void use_graphs() override;
  void begin_together() override;
  void end_together() override;

  // What the calling thread has the device do goes here: the computing stream, but for side streams. Makes this the
  // thread's GPU.
  cudaStream_t stream() const;
  // The same, with nothing that was captured and not launched: for whoever waits or marks a place.
  cudaStream_t launched_stream() const;

 protected:
  std::byte* allocate_bytes(std::size_t bytes, Category category) override;
  void free_bytes(std::byte* data, std::size_t bytes) override;

 private:
  friend class CudaSideStream;
  void use() const;  // for the calling thread
  void take_back();

  struct Returned {  // by a side stream
    std::unique_ptr<Mark> after;
    std::byte* data;
    std::size_t bytes;
  };

  int ordinal_;
  std::string name_;
  std::unique_ptr<Stream> computes_;
  std::unique_ptr<Captures> captures_;  // null: no graphs
  std::mutex mutex_;
  std::vector<Returned> returned_;
  PinnedHost own_staging_;
  KeptBlocks blocks_;
};

}  // namespace tranche::cuda
