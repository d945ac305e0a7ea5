#include "runtime/train/copy_check.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "runtime/base/corrupted.h"
#include "runtime/base/trace.h"

namespace tranche {

CopyCheck::CopyCheck(std::size_t every, ShownStore& store, const StateSums& sums, Communicator& ranks)
    : every_(every), store_(store), sums_(sums), ranks_(ranks) {
  check(every > 0, "copies are compared every 0 updates");
  store.when_gathered([this](const Unit& unit) {
    if (!told_.empty()) compare_copy(unit);
  });
}

void CopyCheck::begin_step(std::uint64_t updates) {
  if (updates != 0 && updates % every_ == 0) compare_all_owners(updates);
}

void CopyCheck::before_save(std::uint64_t updates) {
  const auto is_whole = [&](const Owned& owned) { return parts_of(owned.unit->index()) == 1; };
  if (updates == 0 || std::ranges::none_of(store_.owned(), is_whole)) return;
  compare_all_owners(updates);
  told_.clear();
}

void CopyCheck::compare_all_owners(std::uint64_t updates) {
  const Doing frame{[&] { return str("comparing the ranks' parameters after update ", updates); }};
  const trace::Span span{trace::Kind::optimizer, "compare owners"};
  const std::size_t units = store_.owned().size();
  std::vector<Sum> mine(units);
  for (std::size_t unit = 0; unit < units; ++unit)
    if (const auto sum = sums_.working(unit)) mine[unit] = {.known = 1, .value = *sum};
  const std::vector<std::string> rows =
      ranks_.gather_text({reinterpret_cast<const char*>(mine.data()), units * sizeof(Sum)}, "checksums");
  told_.assign(rows.size(), std::vector<Sum>(units));
  for (std::size_t rank = 0; rank < rows.size(); ++rank)
    std::memcpy(told_[rank].data(), rows[rank].data(), units * sizeof(Sum));
  compared_.assign(units, false);
  updates_ = updates;
  for (std::size_t unit = 0; unit < units; ++unit)
    if (parts_of(unit) == 1) compare_owners(unit);
}

void CopyCheck::end_step(bool) { told_.clear(); }

std::size_t CopyCheck::parts_of(std::size_t unit) const {
  const Owned& owned = store_.owned()[unit];
  return owned.unit->values().size() / owned.size;
}

// What most ranks have is taken for right; of two, what rank 0 has.
void CopyCheck::compare_owners(std::size_t unit) const {
  std::map<std::uint64_t, std::size_t> votes;
  for (const std::vector<Sum>& row : told_) {
    if (row[unit].known == 0) return;
    ++votes[row[unit].value];
  }
  std::uint64_t right = told_[0][unit].value;
  for (const auto& [value, count] : votes)
    if (count > votes[right]) right = value;
  std::string others;
  for (std::size_t rank = 0; rank < told_.size(); ++rank)
    if (told_[rank][unit].value != right) others += str(others.empty() ? "" : ", ", rank);
  ensure(corrupted, others.empty(), "ranks hold different parameters after the same updates: those of ",
         store_.owned()[unit].unit->name(), " differ on rank ", others,
         " from the rest; go on from the last checkpoint, and if it happens again, test the memory of its host");
}

void CopyCheck::compare_copy(const Unit& unit) {
  const std::size_t index = unit.index(), size = store_.owned()[index].size;
  if (compared_[index] || told_[ranks_.rank()][index].known == 0) return;
  compared_[index] = true;
  const trace::Span span{trace::Kind::optimizer, "compare", unit.name()};
  for (std::size_t part = 0; part < parts_of(index); ++part) {
    const std::size_t owner = parts_of(index) == 1 ? ranks_.rank() : part;
    if (told_[owner][index].known == 0) continue;
    const Tensor copy = unit.values().view(part * size, {1, size}).on_host();
    ensure(corrupted, sums_.working_now(index, copy) == told_[owner][index].value, "a bit has flipped: rank ",
           ranks_.rank(), " reads other parameters than rank ", owner, " made in update ", updates_, ", in ",
           names_of(unit, part * size, size),
           "; go on from the last checkpoint, and if it happens again, test the memory of both hosts and what is "
           "between them");
  }
}

}  // namespace tranche
