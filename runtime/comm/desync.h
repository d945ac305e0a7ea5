// What a rank is in while it takes part in a collective, and the report when ranks are in different ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tranche {

// One rank's side of a collective. Plain bytes: ranks send it to each other.
struct CollectiveCall {
  std::uint64_t sequence = 0;  // how many came before on this communicator
  std::uint64_t bytes = 0;
  std::uint64_t root = 0;
  std::uint64_t label_hash = 0;  // of the whole label
  char op[16] = {};
  char label[80] = {};  // its beginning, for the report

  CollectiveCall() = default;
  CollectiveCall(std::uint64_t sequence, std::string_view op, std::string_view label, std::size_t bytes,
                 std::size_t root = 0);
  bool same_as(const CollectiveCall& other) const;
};

// Empty if every rank is in the same collective, else a table of what each rank is in.
std::string disagreement(std::span<const CollectiveCall> by_rank);

}  // namespace tranche
