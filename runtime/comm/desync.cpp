#include "runtime/comm/desync.h"

#include <algorithm>

#include "runtime/base/error.h"
#include "runtime/base/random.h"

namespace tranche {

CollectiveCall::CollectiveCall(std::uint64_t number, std::string_view name, std::string_view text, std::size_t size,
                               std::size_t from)
    : sequence(number), bytes(size), root(from), label_hash(hash_of(text)) {
  name.copy(op, sizeof op - 1);
  text.copy(label, sizeof label - 1);
}

bool CollectiveCall::same_as(const CollectiveCall& other) const {
  return sequence == other.sequence && bytes == other.bytes && root == other.root && label_hash == other.label_hash &&
         std::string_view{op} == other.op;
}

std::string disagreement(std::span<const CollectiveCall> by_rank) {
  if (std::ranges::all_of(by_rank, [&](const CollectiveCall& call) { return call.same_as(by_rank.front()); }))
    return {};
  std::string table = "ranks are in different collectives, so none of them can go on:";
  for (std::size_t rank = 0; rank < by_rank.size(); ++rank) {
    const CollectiveCall& call = by_rank[rank];
    table += str("\n  rank ", rank, ": number ", call.sequence, ", ", call.op, " of ", call.label, ", ", call.bytes,
                 " bytes");
    if (call.root != 0) table += str(" from rank ", call.root);
  }
  return table;
}

}  // namespace tranche
