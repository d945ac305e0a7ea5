// Slices of working parameters on disk (ZeRO-Infinity, Rajbhandari et al. 2021), which come through host memory.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "offload/disk.h"
#include "runtime/nn/seams.h"

namespace tranche {

class DiskSlices : public SlicePlacement {
 public:
  // device: the one that computes. All must outlive the object. Its calls throw Exit::storage for what the disk does.
  DiskSlices(Device& device, Device& host, Disk& disk)
      : device_(device), host_(host), disk_(disk), copies_(device.copy_stream()) {}
  ~DiskSlices() override;

  void adopt(const Unit& unit, std::size_t elements, DType dtype) override;
  void fetch(const Unit& unit) override;
  std::span<const std::byte> fetched(const Unit& unit) override;
  void evict(const Unit& unit) override;
  // first: a multiple of a disk page; so is the end, or it is the slice's.
  Event write(const Unit& unit, std::size_t first, const Tensor& from) override;

 private:
  struct Slice {
    Shape shape;
    DType dtype = DType::float32;
    std::uint64_t offset = 0;  // in the swap file
    Tensor last_page{};        // in host memory: of a slice that ends within a page
    Event last_page_written{};
    Tensor on_host{}, on_device{};  // one after the other, while it is fetched
    Event read{};
  };
  std::size_t bytes_of(const Slice& slice) const;

  Device &device_, &host_;
  Disk& disk_;
  std::vector<Slice> slices_;  // by unit
  std::unique_ptr<CopyStream> copies_;
};

}  // namespace tranche
