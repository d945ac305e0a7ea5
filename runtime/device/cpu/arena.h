// Which bytes of one stretch of memory are given out: offsets alone, no memory.
//
// A range comes from the smallest gap that holds it, or from behind everything given out so far. Gaps that touch become
// one, so that what ended one phase of a step gives its place to the next, whatever sizes either has.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace tranche {

class Arena {
 public:
  explicit Arena(std::size_t bytes) : bytes_(bytes) {}

  // Where `bytes` (at least 1) that nobody has begin; nothing if no stretch is as long. What is given out is told apart
  // by where it begins, so callers round sizes to what they want places to be multiples of.
  std::optional<std::size_t> take(std::size_t bytes);
  // Of what take(bytes) gave, once.
  void give_back(std::size_t begin, std::size_t bytes);

  std::size_t end() const { return end_; }  // of all that was ever given out

 private:
  void add_gap(std::size_t begin, std::size_t bytes);
  void remove_gap(std::map<std::size_t, std::size_t>::iterator gap);

  std::size_t bytes_, end_ = 0;
  std::map<std::size_t, std::size_t> gaps_;                // below end_: where each begins, and its bytes
  std::set<std::pair<std::size_t, std::size_t>> by_size_;  // the same: bytes, then where it begins
};

}  // namespace tranche
