// A timeline of this process: what each thread did from when to when, for a picture (docs/trace.md).
//
//   const trace::Span span{trace::Kind::compute, "forward", unit.name()};
//
// While nobody watches, a span is one relaxed load of an atomic. While spans are recorded, it is two looks at the clock
// and a copy into memory that start() took: no allocation, no lock. Spans may be made on any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tranche::trace {

enum class Kind : std::uint8_t { step, compute, optimizer, gather, reduce, wait, copy, disk };
inline constexpr std::size_t kind_count = 8;
std::string_view name_of(Kind kind);

struct Event {
  static constexpr std::size_t longest = 63;

  Kind kind = Kind::step;
  std::uint8_t length = 0;
  char of[longest] = {};        // `length` characters: the end of what the span was given
  const char* what = nullptr;   // a literal
  std::uint64_t number = none;  // of a step or micro-batch
  std::uint64_t bytes = 0;      // that were moved
  std::uint32_t thread = 0;
  const char* thread_name = nullptr;
  std::int64_t begin = 0, end = 0;  // nanoseconds of the system's steady clock
  static constexpr std::uint64_t none = ~std::uint64_t{0};

  std::string name() const;  // "forward blocks.3", "step 7"
  // The same in memory of the caller's, cut where that ends.
  std::string_view name(std::span<char> into) const;
};

// Who is told of each span, on its thread: a profiler. Neither function may throw.
struct Listener {
  void (*begin)(const Event& event);  // which has no thread and no times
  void (*end)();                      // of what began last on this thread and has not ended
};

namespace detail {
inline constexpr unsigned recorded = 1, told = 2;
inline std::atomic<unsigned> watched{0};  // of these
struct Slot;
// Where an account's thread spends its time: `now` since `since`.
struct Spending {
  std::array<std::int64_t, kind_count> nanoseconds{};
  Kind now = Kind::step;
  std::int64_t since = 0;
  Kind turn_to(Kind kind) noexcept;  // what it was
};
inline thread_local Spending* spending = nullptr;  // null: nobody asks
}  // namespace detail

// From its making to its end, on one thread; spans of a thread lie within one another or apart.
class Span {
 public:
  // what: a literal. of: copied. bytes: that are moved.
  Span(Kind kind, const char* what, std::string_view of = {}, std::size_t bytes = 0) noexcept : Span(kind) {
    if (detail::watched.load(std::memory_order_relaxed) != 0) [[unlikely]]
      begin(kind, what, of, bytes, Event::none);
  }
  // The `number`th step or micro-batch.
  Span(Kind kind, const char* what, std::uint64_t number) noexcept : Span(kind) {
    if (detail::watched.load(std::memory_order_relaxed) != 0) [[unlikely]]
      begin(kind, what, {}, 0, number);
  }
  ~Span() {
    if (detail::spending != nullptr) detail::spending->turn_to(outer_);
    if (slot_ != nullptr || listener_ != nullptr) [[unlikely]]
      finish();
  }
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;

 private:
  explicit Span(Kind kind) noexcept {
    if (detail::spending != nullptr) outer_ = detail::spending->turn_to(kind);
  }
  void begin(Kind kind, const char* what, std::string_view of, std::size_t bytes, std::uint64_t number) noexcept;
  void finish() noexcept;

  detail::Slot* slot_ = nullptr;
  const Listener* listener_ = nullptr;
  Kind outer_ = Kind::step;
};

// How long this thread is in spans of each kind, always the innermost one's; outside of all: Kind::step. From its
// making to its end; one on a thread. Two looks at the clock for each span.
class Account {
 public:
  Account();
  ~Account() { detail::spending = nullptr; }
  Account(const Account&) = delete;
  Account& operator=(const Account&) = delete;

  using Seconds = std::array<double, kind_count>;  // by kind
  Seconds so_far();                                // on its thread

 private:
  detail::Spending spending_;
};

// What this thread's row is called. name: a literal.
void name_thread(const char* name);

std::int64_t now();  // nanoseconds, as Event's

// Records from here on, at most `capacity` spans of all threads; later ones are only counted. One recording at a time.
// The memory of a recording stays until the next one, which must not begin while a span of the last is open.
void start(std::size_t capacity = std::size_t{1} << 17);

struct Recording {
  std::vector<Event> events;  // in the order in which they began
  std::size_t dropped = 0;    // for want of room
};
// Ends it. Spans that are open are not in it.
Recording stop();

// From here on `listener`, which outlives every span, is told of spans that begin; null: nobody is. A span's end goes
// to whom its beginning went to. One thread at a time.
void tell(const Listener* listener);

// As "traceEvents" of Chrome's format: process `rank`, times from `origin` on; no brackets around it.
std::string chrome_events(const std::vector<Event>& events, std::size_t rank, std::int64_t origin);

}  // namespace tranche::trace
