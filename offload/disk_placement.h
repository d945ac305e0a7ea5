// Optimizer state on disk (ZeRO-Infinity, Rajbhandari et al. 2021): it streams through a ring of buffers in host
// memory, read ahead of its update and written behind it. Sums of gradients are in host memory.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "offload/config.h"
#include "offload/disk.h"
#include "offload/host_sums.h"
#include "runtime/optim/placement.h"

namespace tranche {

class Arrivals;

class DiskPlacement : public OptimizerPlacement {
 public:
  // gradients: the dtype of what is summed. device: the one that computes, which holds the working copies. They must
  // outlive the object. Its calls throw Exit::storage for what the disk does.
  DiskPlacement(const OffloadConfig& config, Precision precision, DType gradients, Device& device, Device& host,
                Disk& disk);

  ~DiskPlacement() override;

  void adopt(const std::vector<Owned>& owned, std::uint64_t seed) override;
  void add_moment(const std::string& name) override;
  bool in_memory() const override { return false; }
  void round() override;
  SumPlacement& sums() override { return sums_; }

 protected:
  void do_update(const Shards& gradients, const Work& work) override;
  Tensor do_borrow(std::size_t kind, std::size_t unit) override;
  void do_give_back(std::size_t kind, std::size_t unit, std::span<const float> borrowed) override;

 private:
  struct Piece {
    std::size_t unit, first, count;  // elements of the owned slice
    std::uint64_t place;             // among all owned elements of a kind
  };
  // Host memory for a piece, and what must have happened before it may hold another.
  struct Slot {
    std::vector<Tensor> kinds;
    Tensor rounded;
    std::vector<Event> reads, departures;
  };
  // How many kinds, from the first, a pass over the pieces reads before and writes after its work.
  struct Pass {
    std::size_t reads, writes;
  };

  void stream(const Pass& pass, const Shards& gradients, const Work& work, Arrivals& arrivals);
  void read_ahead(const Pass& pass, const Piece& piece, Slot& slot);
  // The event: the piece's working copy is updated.
  Event depart(const Pass& pass, const Piece& piece, Slot& slot);
  StatePiece at_hand(const Piece& piece, const Slot& slot, const Shards& gradients) const;
  std::uint64_t offset_of(std::size_t kind, std::uint64_t place) const { return kind_begins_[kind] + 4 * place; }
  Tensor buffer(const std::string& name, DType dtype) const;

  OffloadConfig config_;
  Precision precision_;
  Device& host_;
  Disk& disk_;
  const std::vector<Owned>* owned_ = nullptr;
  std::vector<Piece> pieces_;
  std::vector<std::uint64_t> unit_places_;  // of each unit's first element
  std::size_t elements_ = 0, longest_ = 0;  // owned in all; in a piece
  std::vector<std::uint64_t> kind_begins_;  // offsets in the file
  std::vector<Slot> slots_;
  HostSums sums_;
  std::unique_ptr<CopyStream> copies_;  // uses the slots, and waits for what is under way
};

}  // namespace tranche
