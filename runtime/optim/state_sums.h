// Checksums of what a rank owns: of what an update leaves, compared with what the next one, or a checkpoint, finds.
// Memory, a disk, or a stray write that changes a bit in between is so found out before anything is saved that was
// computed from it. The update's own pass makes the sums (runtime/ops/optimizer.h): another one would cost as much as
// the update does.
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

  // Whether the piece's state is in memory of the host: a shape has no bytes, and a GPU corrects its own.
  static bool concern(const StatePiece& at);
  // Where the update that is about to pass the piece has to leave sums of the first `summed` kinds, until the next
  // call; the other kinds are read here. An update comes in the same pieces as the one before.
  ops::PassedSums passing(const StatePiece& at, std::size_t summed);
  // After it: throws Exit 13 (corrupted) if what was found is not what was left, naming the tensors in which it
  // differs.
  void compare_found(const StatePiece& at);
  // And what it left is what the next one has to find.
  void keep_left(const StatePiece& at);
  // The same, read once more: somebody has written to the piece behind the update.
  void read_left(const StatePiece& at);
  // Throws as compare_found does; one kind of a unit's state, `whole`: (1, owned) float32.
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
    std::vector<std::optional<std::uint64_t>> sums;  // by kind
    std::optional<std::uint64_t> working{};
  };
  // Those of a piece, in order.
  std::span<Run> runs_of(const StatePiece& at);
  void compare(std::size_t kind, std::size_t unit, std::span<const std::uint64_t> now, std::span<const Run> runs) const;

  const std::vector<Owned>& owned_;
  const std::vector<std::string>& kinds_;
  std::vector<std::vector<Run>> units_;                   // by unit, then in order
  std::vector<std::vector<std::uint64_t>> found_, left_;  // of the piece that is being passed: [kind][run]
  std::vector<std::uint64_t> working_;                    // none where the masters are the working copy
};

// The names of a unit's parameters that have elements in first .. first + count of its flat layout: "a, b".
std::string names_of(const Unit& unit, std::size_t first, std::size_t count);

}  // namespace tranche
