#include "runtime/device/cpu/arena.h"

#include <algorithm>
#include <iterator>

#include "runtime/base/error.h"

namespace tranche {

void Arena::add_gap(std::size_t begin, std::size_t bytes) {
  gaps_[begin] = bytes;
  by_size_.emplace(bytes, begin);
}

void Arena::remove_gap(std::map<std::size_t, std::size_t>::iterator gap) {
  by_size_.erase({gap->second, gap->first});
  gaps_.erase(gap);
}

std::optional<std::size_t> Arena::take(std::size_t bytes) {
  check(bytes > 0, "nothing is taken from an arena");
  if (const auto fits = by_size_.lower_bound({bytes, 0}); fits != by_size_.end()) {
    const auto [gap, begin] = *fits;
    remove_gap(gaps_.find(begin));
    if (gap > bytes) add_gap(begin + bytes, gap - bytes);
    return begin;
  }
  // Behind everything; a gap there is its beginning.
  const auto last = gaps_.empty() ? gaps_.end() : std::prev(gaps_.end());
  const bool touches = last != gaps_.end() && last->first + last->second == end_;
  const std::size_t begin = touches ? last->first : end_;
  if (bytes > bytes_ - begin) return std::nullopt;
  if (touches) remove_gap(last);
  end_ = begin + bytes;
  return begin;
}

void Arena::give_back(std::size_t begin, std::size_t bytes) {
  const auto behind = gaps_.lower_bound(begin);
  check(bytes > 0 && begin <= end_ && bytes <= end_ - begin &&
            (behind == gaps_.end() || begin + bytes <= behind->first) &&
            (behind == gaps_.begin() || std::prev(behind)->first + std::prev(behind)->second <= begin),
        "an arena gets back ", bytes, " bytes at ", begin, ", which it has");
  std::size_t first = begin, last = begin + bytes;
  if (behind != gaps_.begin()) {
    const auto before = std::prev(behind);
    if (before->first + before->second == begin) {
      first = before->first;
      remove_gap(before);
    }
  }
  if (const auto next = gaps_.find(last); next != gaps_.end()) {
    last += next->second;
    remove_gap(next);
  }
  add_gap(first, last - first);
}

}  // namespace tranche
