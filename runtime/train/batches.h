// A rank's micro-batches, as tensors on its device.
#pragma once

#include "runtime/data/batch_order.h"
#include "runtime/train/config.h"
#include "runtime/train/trainer.h"

namespace tranche {

// tokens and targets: (samples, sequence_length) int32, with nothing in them: for plans, since they take what
// read_tensors takes.
MicroBatch unread_tensors(std::size_t samples, std::size_t sequence_length, std::size_t number, Device& device);
// Those of these samples.
MicroBatch read_tensors(const TokenFile& file, const std::vector<std::uint64_t>& samples, std::size_t sequence_length,
                        std::size_t number, Device& device);

// For training: any rank's share of any step. Keeps nothing between calls but the open file.
class BatchReader {
 public:
  // file and device must outlive it. Throws Exit::data if the file is shorter than one sample.
  BatchReader(const TokenFile& file, const BatchPlan& plan, std::size_t sequence_length, std::uint64_t seed,
              Device& device);

  Batch read(std::uint64_t step, std::size_t rank) const;
  double epochs_before(std::uint64_t step) const { return order_.epochs_before(step); }

 private:
  const TokenFile& file_;
  BatchPlan plan_;
  std::size_t sequence_length_;
  BatchOrder order_;
  Device& device_;
};

}  // namespace tranche
