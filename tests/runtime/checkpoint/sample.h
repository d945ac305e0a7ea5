// A small state of odd shapes, ranks as threads to save and load it, and what its elements must be.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "runtime/base/random.h"
#include "runtime/checkpoint/checkpoint.h"
#include "tests/faults/io_script.h"

namespace tranche::checkpoint {

// For every test that includes this: hundreds of checkpoints are saved.
inline testing::FastDisk fast_disk;
inline const testing::WithFaults every_disk_is_fast{fast_disk};

// Every rank's text, once all have said one.
class Table {
 public:
  explicit Table(std::size_t size) : said_(size) {}
  std::vector<std::string> gather(std::size_t rank, const std::string& mine) {
    std::unique_lock lock{mutex_};
    said_[rank] = mine;
    const std::size_t round = round_;
    if (++here_ == said_.size()) {
      heard_ = said_;
      here_ = 0;
      ++round_;
      all_.notify_all();
    }
    all_.wait(lock, [&] { return round_ != round; });
    return heard_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable all_;
  std::vector<std::string> said_, heard_;
  std::size_t here_ = 0, round_ = 0;
};

// Runs `work` on `size` ranks; returns each rank's error message ("" for none), and throws nothing.
inline std::vector<std::string> on_ranks(std::size_t size, const std::function<void(const Peers&)>& work) {
  Table table{size};
  std::vector<std::string> errors(size);
  std::vector<std::thread> threads;
  const auto run = [&](std::size_t rank) {
    try {
      work({rank, size, [&table, rank](const std::string& mine) { return table.gather(rank, mine); }});
    } catch (const std::exception& error) {
      errors[rank] = error.what();
    }
  };
  for (std::size_t rank = 1; rank < size; ++rank) threads.emplace_back(run, rank);
  run(0);
  for (std::thread& thread : threads) thread.join();
  return errors;
}

inline std::vector<UnitLayout> sample_units() {
  return {{"embedding", {{"wte.weight", {37, 64}}, {"wpe.weight", {5, 64}}}},
          {"block", {{"attn/qkv", {3, 7, 129}}, {"bias", {129}}, {"gain", {1}}, {"mlp.weight", {130, 33}}}},
          {"head", {{"cube", {2, 3, 5, 71}}, {"norm", {64}}, {"temperature", {}}}}};
}
inline const std::vector<std::string> sample_kinds = {"parameters", "exp_avg", "exp_avg_sq"};

// Element `index` of a tensor of version `version` of the state is element_of(key_of(version, kind, tensor), index).
inline RandomKey key_of(int version, const std::string& kind, const std::string& tensor) {
  return RandomKey{static_cast<std::uint64_t>(version), Purpose::initialise}(hash_of(kind + tensor));
}
inline float element_of(const RandomKey& key, std::size_t index) { return uniform(key.number(index)) - 0.5f; }
inline float sample_value(int version, const std::string& kind, const std::string& tensor, std::size_t index) {
  return element_of(key_of(version, kind, tensor), index);
}

// What one rank holds of the sample.
class Sample {
 public:
  // Slice `rank` of `ranks` of each unit, padding included, or everything (ranks = 1).
  Sample(std::size_t rank, std::size_t ranks, std::vector<UnitLayout> units = sample_units(),
         std::vector<std::string> kinds = sample_kinds) {
    state_.units = std::move(units);
    state_.kinds = std::move(kinds);
    memory_.resize(state_.units.size());
    for (std::size_t u = 0; u < state_.units.size(); ++u) {
      const std::size_t share = (state_.units[u].size() + ranks * 1024 - 1) / (ranks * 1024) * 1024;
      memory_[u].assign(state_.kinds.size(), std::vector<float>(share, -7.0f));
      state_.slices.emplace_back();
      for (std::vector<float>& memory : memory_[u])
        state_.slices[u].push_back(OwnedSlice::resident(rank * share, memory));
    }
  }
  const ModelState& state() const { return state_; }

  void fill(int version) {
    visit(version, [](float& x, float value) { x = value; });
  }
  // How many elements are not those of the version.
  std::size_t differences(int version) {
    std::size_t count = 0;
    visit(version, [&](const float& x, float value) { count += x != value; });
    return count;
  }
  // Padding that loading has overwritten.
  std::size_t touched_padding() const {
    std::size_t count = 0;
    for (std::size_t u = 0; u < state_.units.size(); ++u)
      for (const OwnedSlice& slice : state_.slices[u])
        for (std::size_t i = 0; i < slice.count; ++i)
          count += slice.first + i >= state_.units[u].size() && slice.borrow().elements[i] != -7.0f;
    return count;
  }

 private:
  // Every element this rank holds, and what it is in that version.
  template <class Visit> void visit(int version, Visit see) {
    for (std::size_t u = 0; u < state_.units.size(); ++u)
      for (std::size_t k = 0; k < state_.kinds.size(); ++k) {
        const OwnedSlice& slice = state_.slices[u][k];
        std::size_t at = 0;
        for (const StateTensor& tensor : state_.units[u].tensors) {
          const RandomKey key = key_of(version, state_.kinds[k], tensor.name);
          for (std::size_t i = 0; i < tensor.shape.size(); ++i, ++at)
            if (at - slice.first < slice.count) see(slice.borrow().elements[at - slice.first], element_of(key, i));
        }
      }
  }
  ModelState state_;
  std::vector<std::vector<std::vector<float>>> memory_;
};

inline JobState sample_job(int version) {
  JobState job;
  job.logical = {{"step", std::uint64_t{100} * static_cast<std::uint64_t>(version)},
                 {"scaler.scale", 65536.0},
                 {"tokenizer", std::string{"byte \"256\"\n"}},
                 {"seed", std::uint64_t{0xFFFFFFFFFFFFFFFF}},
                 {"tiny", 0x1p-1074}};
  job.circumstances = {{"stage", std::uint64_t{2}}};
  job.job = {{"steps", 1500}, {"optimizer", {{"type", "AdamW"}}}};
  return job;
}

// Step 100 x version, from `ranks` ranks.
inline std::vector<std::string> save_sample(const std::filesystem::path& directory, int version, std::size_t ranks,
                                            std::size_t keep = 0) {
  return on_ranks(ranks, [&](const Peers& peers) {
    Sample mine{peers.rank, peers.size};
    mine.fill(version);
    save(directory, static_cast<std::uint64_t>(version) * 100, mine.state(), sample_job(version), peers, keep);
  });
}

}  // namespace tranche::checkpoint
