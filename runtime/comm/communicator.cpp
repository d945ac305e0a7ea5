#include "runtime/comm/communicator.h"

#include <algorithm>
#include <cstring>

#include "runtime/base/error.h"
#include "runtime/base/trace.h"

namespace tranche {

void Communicator::check_rows(std::span<const std::byte> mine, std::span<std::byte> all,
                              const std::string& label) const {
  check(all.size() == mine.size() * size_, "all_gather of ", label, ": ", size_, " rows of ", mine.size(),
        " bytes do not fill ", all.size());
}

Event Communicator::all_gather(std::span<const std::byte> mine, std::span<std::byte> all, std::string label) {
  check_rows(mine, all, label);
  record("all_gather", label, mine.size() * (size_ - 1));
  return do_all_gather(mine, all, std::move(label));
}

void Communicator::all_gather_staged(std::span<const std::byte> mine, std::span<std::byte> all, std::string label) {
  check_rows(mine, all, label);
  record("all_gather", label, mine.size() * (size_ - 1));
  do_all_gather_staged(mine, all, std::move(label));
}

void Communicator::check_equal_rows(std::string_view op, std::span<const std::byte> mine, std::size_t unit,
                                    const std::string& label) const {
  check(mine.size() % (size_ * unit) == 0, op, " of ", label, ": ", mine.size(), " bytes are not ", size_,
        " equal rows of ", unit, "-byte elements");
}

Event Communicator::exchange(std::span<const std::byte> mine, Consume consume, std::string label) {
  check_equal_rows("exchange", mine, 1, label);
  record("exchange", label, mine.size() / size_ * (size_ - 1));
  return do_exchange(mine, std::move(consume), std::move(label));
}

Event Communicator::reduce(std::span<const std::byte> mine, DType type, Consume consume, std::string label) {
  check(is_floating(type), "reduce of ", label, ": ", name_of(type), " is no floating type");
  check_equal_rows("reduce", mine, bytes_of(type), label);
  record("reduce", label, mine.size() / size_ * (size_ - 1));
  return do_reduce(mine, type, std::move(consume), std::move(label));
}

Event Communicator::broadcast(std::span<std::byte> data, std::size_t root, std::string label) {
  check(root < size_, "broadcast of ", label, ": there is no rank ", root, " among ", size_);
  record("broadcast", label, rank_ == root ? data.size() * (size_ - 1) : 0);
  return do_broadcast(data, root, std::move(label));
}

// Short rows, which nearly all are, travel with their lengths in one collective; longer ones follow in a second.
std::vector<std::vector<std::byte>> Communicator::gather_rows(std::string_view op, std::span<const std::byte> mine,
                                                              const std::string& label) {
  const trace::Span span{trace::Kind::wait, "wait for all:", label};
  struct Head {
    std::uint64_t bytes = 0;
    std::byte begin[120] = {};
  };
  std::vector<Head> heads(size_);
  Head& head = heads[rank_];
  head.bytes = mine.size();
  std::copy_n(mine.begin(), std::min(mine.size(), sizeof head.begin), head.begin);
  record(op, label, sizeof head * (size_ - 1));
  do_gather_on_host(std::as_bytes(std::span{&head, 1}), std::as_writable_bytes(std::span{heads}), label);

  std::size_t longest = 0;
  for (const Head& each : heads) longest = std::max<std::size_t>(longest, each.bytes);
  std::vector<std::byte> bodies;
  if (longest > sizeof head.begin) {  // every rank sees the same lengths, so all go this way or none
    bodies.resize(longest * size_);
    const std::span row = std::span{bodies}.subspan(rank_ * longest, longest);
    std::ranges::copy(mine, row.begin());
    record(op, label, longest * (size_ - 1));
    do_gather_on_host(row, bodies, label + " (long)");
  }

  std::vector<std::vector<std::byte>> rows;
  for (std::size_t rank = 0; rank < size_; ++rank) {
    const std::byte* from = bodies.empty() ? heads[rank].begin : bodies.data() + rank * longest;
    rows.emplace_back(from, from + heads[rank].bytes);
  }
  return rows;
}

std::vector<double> Communicator::gather(std::span<const double> mine, std::string label) {
  std::vector<double> all;
  for (const std::vector<std::byte>& row : gather_rows("gather", std::as_bytes(mine), label)) {
    const std::size_t before = all.size();
    all.resize(before + row.size() / sizeof(double));
    if (!row.empty()) std::memcpy(all.data() + before, row.data(), row.size());
  }
  return all;
}

std::vector<std::string> Communicator::gather_text(const std::string& mine, std::string label) {
  std::vector<std::string> all;
  for (const std::vector<std::byte>& row : gather_rows("gather_text", std::as_bytes(std::span{mine}), label))
    all.emplace_back(reinterpret_cast<const char*>(row.data()), row.size());
  return all;
}

void Communicator::barrier(std::string label) { gather_rows("barrier", {}, label); }

bool Communicator::all_agree(bool mine, std::string label) {
  const std::byte vote{mine};
  return std::ranges::all_of(gather_rows("all_agree", {&vote, 1}, label),
                             [](const std::vector<std::byte>& row) { return row.front() != std::byte{0}; });
}

Event Communicator::do_reduce(std::span<const std::byte> mine, DType, Consume consume, std::string label) {
  return do_exchange(mine, std::move(consume), std::move(label));
}

void Communicator::do_all_gather_staged(std::span<const std::byte> mine, std::span<std::byte> all, std::string label) {
  do_all_gather(mine, all, std::move(label)).wait();
}

void Communicator::do_gather_on_host(std::span<const std::byte> mine, std::span<std::byte> all, std::string label) {
  do_all_gather_staged(mine, all, std::move(label));
}

void Communicator::record(std::string_view op, const std::string& label, std::size_t bytes) {
  Traffic& sum = traffic_[op];
  ++sum.count;
  sum.bytes += bytes;
  CollectiveRecord entry{sequence_++, op, label, bytes};
  if (observer_) observer_(entry);
  if (records_.size() < history)
    records_.push_back(std::move(entry));
  else
    records_[entry.sequence % history] = std::move(entry);
}

std::vector<CollectiveRecord> Communicator::records() const {
  std::vector<CollectiveRecord> in_order = records_;
  if (!in_order.empty())
    std::ranges::rotate(in_order, in_order.begin() + static_cast<long>(sequence_ % in_order.size()));
  return in_order;
}

}  // namespace tranche
