// Checksums of what a rank owns: taken when an update leaves it, compared when the next one, or a checkpoint, finds it.
// Memory, a disk, or a stray write that changes a bit in between is so found out before anything is computed from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/optim/placement.h"

namespace tranche {

// Runs of at most `run` elements have a checksum each: eight bytes for 256 KiB of each kind of state.
//
// Not synchronised: as the placement whose state it is about.
class StateSums {
 public:
  static constexpr std::size_t run = std::size_t{1} << 16;

  // owned: all of a store's; kinds: the placement's. Both must outlive the object.
  StateSums(const std::vector<Owned>& owned, const std::vector<std::string>& kinds) : owned_(owned), kinds_(kinds) {}

  // After an update, of every piece. An update comes in the same pieces as the one before.
  void record(const StatePiece& at);
  // Throws Exit 13 (corrupted) if the piece is not as it was recorded, naming the tensors in which it differs.
  void compare(const StatePiece& at) const;
  // The same for one kind of a unit's state; whole: (1, owned) float32.
  void compare(std::size_t kind, std::size_t unit, const Tensor& whole) const;
  // It was written from outside: nothing is known of it until its next update, nor of the unit's working copy.
  void forget(std::size_t kind, std::size_t unit);

  // Of the unit's owned part of the working copy, as its update left it; none: not known.
  std::optional<std::uint64_t> working(std::size_t unit) const;
  // The same made anew from `part`, (1, owned) of the working dtype. working(unit) must be known.
  std::uint64_t working_now(std::size_t unit, const Tensor& part) const;

 private:
  // Elements first .. first + count of the owned slice.
  struct Run {
    std::size_t first = 0, count = 0;
    std::vector<std::optional<std::uint64_t>> sums{};  // by kind
    std::optional<std::uint64_t> working{};
  };
  // Those of a piece, in order.
  std::span<Run> runs_of(const StatePiece& at);
  std::span<const Run> known_runs_of(const StatePiece& at) const;
  void compare(std::size_t kind, std::size_t unit, const Tensor& elements, std::span<const Run> runs) const;

  const std::vector<Owned>& owned_;
  const std::vector<std::string>& kinds_;
  std::vector<std::vector<Run>> units_;  // by unit, then in order
};

// The names of a unit's parameters that have elements in first .. first + count of its flat layout: "a, b".
std::string names_of(const Unit& unit, std::size_t first, std::size_t count);

}  // namespace tranche
