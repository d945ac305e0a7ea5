// What a checkpoint holds, as the checkpoint room sees it: units of float32 elements in flat layouts, of which each
// rank holds contiguous ranges, and small named values of the job as a whole. Nothing here knows why a rank holds what
// it does.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "runtime/base/json.h"
#include "runtime/base/shape.h"

namespace tranche::checkpoint {

// One tensor of a unit; its elements lie in row-major order. Names are unique in a model and not empty.
struct StateTensor {
  std::string name;
  Shape shape;
};

// The tensors of a unit, one after another. Padding behind the last is no part of it.
struct UnitLayout {
  std::string name;
  std::vector<StateTensor> tensors;
  std::size_t size() const;  // elements
};

// Elements that are in memory while this lives.
struct Borrowed {
  std::span<float> elements;
  std::shared_ptr<const void> holder{};
};

// This rank's elements first .. first + count of a unit's flat layout; what lies beyond its size is padding, neither
// written nor read. They may lie anywhere: saving borrows and reads them, loading borrows, writes and keeps them, one
// slice at a time.
struct OwnedSlice {
  std::size_t first = 0, count = 0;
  bool stays = true;  // in memory, where a borrowed element lies the next time too
  std::function<Borrowed()> borrow{};
  std::function<void(const Borrowed&)> keep = [](const Borrowed&) {};

  // Elements that are in memory all the time.
  static OwnedSlice resident(std::size_t first, std::span<float> elements);
};

// Kinds: "parameters" (float32, masters where there are any), "exp_avg", "exp_avg_sq"...: every unit has all of them.
struct ModelState {
  std::vector<UnitLayout> units;
  std::vector<std::string> kinds;
  std::vector<std::vector<OwnedSlice>> slices;  // [unit][kind]; a unit's slices all cover the same range
};

using Value = std::variant<std::uint64_t, double, std::string>;

// The same on every rank.
struct JobState {
  // Part of the digest: step, updates, scaler.*, sampler.*, history, seed... Not: whatever may differ between runs that
  // must have the same bits.
  std::map<std::string, Value> logical;
  // Not part of the digest: stage, instruction path, versions...
  std::map<std::string, Value> circumstances;
  Json job;  // the effective job file; not part of the digest
};

// The named value, or Exit::checkpoint naming it: get<std::uint64_t>(state.logical, "scaler.good_steps").
template <class T> T get(const std::map<std::string, Value>& values, const std::string& name) {
  const auto found = values.find(name);
  ensure(Exit::checkpoint, found != values.end(), "the checkpoint has no value \"", name,
         "\"; was it written by another version?");
  const T* value = std::get_if<T>(&found->second);
  ensure(Exit::checkpoint, value != nullptr, "the checkpoint's value \"", name,
         "\" has another type than this version expects");
  return *value;
}

// Elements of a unit of `size` that each of `ranks` ranks writes, or fewer where the unit ends: whole blocks of 1,024.
std::size_t share_of(std::size_t size, std::size_t ranks);

// What rank `rank` of `ranks` writes of a state that it may hold more of (stage 0 holds everything everywhere): slice
// `rank` of each unit's layout padded to ranks x 1,024 elements. A slice that is already just that stays as it is.
ModelState written_by(const ModelState& held, std::size_t rank, std::size_t ranks);

// Consistent: throws Exit::internal otherwise.
void check_state(const ModelState& state);

}  // namespace tranche::checkpoint
