// What ranks say to each other. Bytes and order only: floats are summed by a library in reduce() alone, which a job
// asks for, because only an order fixed by logical index gives the same bits on every number of ranks
// (docs/numerics.md).
//
// Every rank issues the same calls in the same order from one thread. A collective returns at once; it runs behind the
// caller, in the order of issue, and its Event tells when the rank may use its results and reuse its inputs. A failed
// collective makes its event throw, and every later one's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/dtype.h"
#include "runtime/device/event.h"

namespace tranche {

// One issued collective. `bytes` is what this rank sends to other ranks, headers included.
struct CollectiveRecord {
  std::uint64_t sequence = 0;
  std::string_view op;
  std::string label;
  std::size_t bytes = 0;
};

struct Traffic {
  std::size_t count = 0, bytes = 0;
  bool operator==(const Traffic&) const = default;
};

class Communicator {
 public:
  // Called once for each rank in rank order, on the communicator's thread, with that rank's row; the bytes are only
  // valid during the call.
  using Consume = std::function<void(std::size_t rank, std::span<const std::byte> row)>;

  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  std::size_t rank() const { return rank_; }
  std::size_t size() const { return size_; }

  // all: (size, n) bytes; row r becomes rank r's `mine`: (n). mine may be row rank() of all.
  Event all_gather(std::span<const std::byte> mine, std::span<std::byte> all, std::string label);
  // Blocking: the same of what the device's staging() holds.
  void all_gather_staged(std::span<const std::byte> mine, std::span<std::byte> all, std::string label);

  // Row r of `mine`, (size, n) bytes, goes to rank r. What rank 0, 1, 2... sent to this rank is consumed in that order:
  // an ordered reduce-scatter when `consume` adds. mine must stay unchanged until the event.
  Event exchange(std::span<const std::byte> mine, Consume consume, std::string label);

  // The same of numbers of a floating type, for a sum whose order nobody relies on: what `consume` gets, in one call or
  // more, adds up to what the ranks sent, and may have been added on its way, with roundings to `type`.
  Event reduce(std::span<const std::byte> mine, DType type, Consume consume, std::string label);
  // Whether reduce() is more than exchange().
  virtual bool adds_on_the_way() const { return false; }

  // `data` of rank `root` reaches every rank.
  Event broadcast(std::span<std::byte> data, std::size_t root, std::string label);

  // Blocking: every rank's values, rank by rank. Ranks may give different counts.
  std::vector<double> gather(std::span<const double> mine, std::string label);
  std::vector<std::string> gather_text(const std::string& mine, std::string label);
  void barrier(std::string label);
  // Blocking: true if every rank says true.
  bool all_agree(bool mine, std::string label);

  // Stops every rank of the job; does not return where ranks are processes. Callable from any thread.
  virtual void abort(int exit_code) = 0;

  // Called with each collective as it is issued, on the thread that issues it, from here on.
  void observe(std::function<void(const CollectiveRecord&)> observer) { observer_ = std::move(observer); }

  // By op, since construction.
  const std::map<std::string_view, Traffic>& traffic() const { return traffic_; }
  // The newest records, oldest first; the last `history` of them are kept.
  static constexpr std::size_t history = 4096;
  std::vector<CollectiveRecord> records() const;

 protected:
  Communicator(std::size_t rank, std::size_t size) : rank_(rank), size_(size) { records_.reserve(history); }

  virtual Event do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all, std::string label) = 0;
  virtual Event do_exchange(std::span<const std::byte> mine, Consume consume, std::string label) = 0;
  virtual Event do_reduce(std::span<const std::byte> mine, DType type, Consume consume, std::string label);
  virtual Event do_broadcast(std::span<std::byte> data, std::size_t root, std::string label) = 0;
  // Blocking; for devices whose memory is not the host's.
  virtual void do_all_gather_staged(std::span<const std::byte> mine, std::span<std::byte> all, std::string label);
  // Blocking: as all_gather, of what lies in the host's memory, whatever the device is.
  virtual void do_gather_on_host(std::span<const std::byte> mine, std::span<std::byte> all, std::string label);

 private:
  void check_rows(std::span<const std::byte> mine, std::span<std::byte> all, const std::string& label) const;
  void check_equal_rows(std::string_view op, std::span<const std::byte> mine, std::size_t unit,
                        const std::string& label) const;
  void record(std::string_view op, const std::string& label, std::size_t bytes);
  // Blocking: every rank's bytes, rank by rank, of any lengths.
  std::vector<std::vector<std::byte>> gather_rows(std::string_view op, std::span<const std::byte> mine,
                                                  const std::string& label);

  std::size_t rank_, size_;
  std::uint64_t sequence_ = 0;
  std::map<std::string_view, Traffic> traffic_;
  std::vector<CollectiveRecord> records_;  // a ring once it holds `history`
  std::function<void(const CollectiveRecord&)> observer_;
};

// One rank alone: everything happens at once.
std::unique_ptr<Communicator> alone();

}  // namespace tranche
