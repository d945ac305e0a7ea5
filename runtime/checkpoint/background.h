// Checkpoints beside the steps: training waits until its state is copied, not until it is durable.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <future>
#include <vector>

#include "runtime/checkpoint/peers.h"
#include "runtime/checkpoint/state.h"
#include "runtime/device/device.h"
#include "runtime/device/event.h"

namespace tranche::checkpoint {

// One thread of each rank calls, in the same order on all; another one writes.
class BackgroundSaver {
 public:
  // written: what this rank writes each time (`written_by`). Memory of `host` for a copy of what stays in memory is
  // taken now, so that what does not fit is told before the first step and not at the first save. What does not stay is
  // borrowed from another thread. peers: nobody else's, as they are spoken to from there. What is given must outlive
  // the saver.
  BackgroundSaver(ModelState written, Device& host, Peers peers);
  // Waits for a save that is under way; nobody is told any more what became of it.
  ~BackgroundSaver();
  BackgroundSaver(const BackgroundSaver&) = delete;
  BackgroundSaver& operator=(const BackgroundSaver&) = delete;

  // Collective. As checkpoint::save of the state as it is now; returns when what stays in memory is copied. Until the
  // event, which never throws, the rest must not change. Before, it waits for the last save, and throws what that one
  // failed with, on every rank; then nothing is begun.
  Event save(const std::filesystem::path& directory, std::uint64_t step, const JobState& job, std::size_t keep);
  // Collective. Waits until everything is durable; throws what the last save failed with.
  void finish();
  // Whether the save under way has failed: then there is no point in going on until the next one. Any thread.
  bool failed() const { return failed_; }

 private:
  void copy();
  void write(const std::filesystem::path& directory, std::uint64_t step, const JobState& job, std::size_t keep);
  bool all_copied() const;

  ModelState written_, copies_;
  std::vector<Buffer> memory_;  // of what is copied
  Peers peers_;
  std::uint64_t step_ = 0;
  std::atomic<bool> failed_ = false;
  std::future<void> under_way_;
};

}  // namespace tranche::checkpoint
