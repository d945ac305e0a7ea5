#include "runtime/base/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <iterator>
#include <map>
#include <memory>
#include <utility>

#include "runtime/base/json.h"

namespace tranche::trace {

struct detail::Slot {
  Event event;
  std::atomic<bool> done{false};
};

namespace {

struct Thread {
  std::uint32_t number;
  const char* name = nullptr;
};

Thread& this_thread() {
  static std::atomic<std::uint32_t> count{0};
  thread_local Thread thread{count.fetch_add(1, std::memory_order_relaxed)};
  return thread;
}

std::unique_ptr<detail::Slot[]> slots;
std::size_t room = 0;
std::atomic<std::size_t> begun{0};
std::atomic<const Listener*> listener{nullptr};  // once there was one, there is one

double microseconds(std::int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e3; }

}  // namespace

std::string_view name_of(Kind kind) {
  constexpr std::string_view names[] = {"step", "compute", "optimizer", "gather", "reduce", "wait", "copy", "disk"};
  return names[static_cast<std::size_t>(kind)];
}

Kind detail::Spending::turn_to(Kind kind) noexcept {
  const std::int64_t time = trace::now();
  nanoseconds[static_cast<std::size_t>(now)] += time - std::exchange(since, time);
  return std::exchange(now, kind);
}

Account::Account() {
  check(detail::spending == nullptr, "this thread's time is accounted for already");
  spending_.since = trace::now();
  detail::spending = &spending_;
}

Account::Seconds Account::so_far() {
  spending_.turn_to(spending_.now);
  Seconds seconds;
  std::ranges::transform(spending_.nanoseconds, seconds.begin(),
                         [](std::int64_t each) { return 1e-9 * static_cast<double>(each); });
  return seconds;
}

std::string_view Event::name(std::span<char> into) const {
  std::size_t size = 0;
  const auto put = [&](std::string_view part) {
    if (part.empty()) return;
    if (size != 0 && size < into.size()) into[size++] = ' ';
    const std::size_t count = std::min(part.size(), into.size() - size);
    std::copy_n(part.data(), count, into.data() + size);
    size += count;
  };
  char digits[20];
  put(what);
  if (number != none) put({digits, std::to_chars(digits, digits + sizeof digits, number).ptr});
  put({of, length});
  return {into.data(), size};
}

std::string Event::name() const {
  char text[256];
  return std::string{name(text)};
}

std::int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void name_thread(const char* name) { this_thread().name = name; }

void start(std::size_t capacity) {
  check((detail::watched & detail::recorded) == 0, "a trace is being recorded already");
  slots = std::make_unique<detail::Slot[]>(capacity);
  room = capacity;
  begun = 0;
  detail::watched.fetch_or(detail::recorded, std::memory_order_release);
}

void tell(const Listener* to) {
  if (to == nullptr) {
    detail::watched.fetch_and(~detail::told, std::memory_order_relaxed);
    return;
  }
  listener.store(to, std::memory_order_relaxed);
  detail::watched.fetch_or(detail::told, std::memory_order_release);
}

// The relaxed load in Span's constructor may see `watched` before `slots` and `listener`: this acquire makes good for
// it.
void Span::begin(Kind kind, const char* what, std::string_view of, std::size_t bytes, std::uint64_t number) noexcept {
  const unsigned watched = detail::watched.load(std::memory_order_acquire);
  Event event{.kind = kind, .what = what, .number = number, .bytes = bytes};
  event.length = static_cast<std::uint8_t>(std::min(of.size(), Event::longest));
  std::copy_n(of.end() - event.length, event.length, event.of);
  if ((watched & detail::told) != 0) {
    listener_ = listener.load(std::memory_order_relaxed);
    listener_->begin(event);
  }
  if ((watched & detail::recorded) == 0) return;
  const std::size_t place = begun.fetch_add(1, std::memory_order_relaxed);
  if (place >= room) return;
  slot_ = &slots[place];
  event.thread = this_thread().number;
  event.thread_name = this_thread().name;
  event.begin = now();
  slot_->event = event;
}

void Span::finish() noexcept {
  if (slot_ != nullptr) {
    slot_->event.end = now();
    slot_->done.store(true, std::memory_order_release);
  }
  if (listener_ != nullptr) listener_->end();
}

Recording stop() {
  detail::watched.fetch_and(~detail::recorded, std::memory_order_relaxed);
  const std::size_t all = begun.load(std::memory_order_relaxed), held = std::min(all, room);
  Recording recording{{}, all - held};
  for (std::size_t i = 0; i < held; ++i)
    if (slots[i].done.load(std::memory_order_acquire)) recording.events.push_back(slots[i].event);
  return recording;
}

// Phase "X" is a span, "M" names a row; times are microseconds.
std::string chrome_events(const std::vector<Event>& events, std::size_t rank, std::int64_t origin) {
  fmt::memory_buffer text;
  auto out = std::back_inserter(text);
  std::map<std::uint32_t, const char*> threads;
  for (const Event& event : events) threads[event.thread] = event.thread_name;
  const auto name = [&](const char* what, std::uint32_t thread, const std::string& as) {
    fmt::format_to(out, "{}{{\"ph\":\"M\",\"pid\":{},\"tid\":{},\"name\":\"{}\",\"args\":{{\"name\":\"{}\"}}}}",
                   text.size() == 0 ? "" : ",\n", rank, thread, what, as);
  };
  if (!threads.empty()) name("process_name", threads.begin()->first, fmt::format("rank {}", rank));
  for (const auto& [thread, as] : threads)
    name("thread_name", thread, as != nullptr ? as : fmt::format("thread {}", thread));
  for (const Event& event : events) {
    fmt::format_to(out,
                   ",\n{{\"ph\":\"X\",\"pid\":{},\"tid\":{},\"ts\":{:.3f},\"dur\":{:.3f},\"name\":{},\"cat\":\"{}\"",
                   rank, event.thread, microseconds(event.begin - origin), microseconds(event.end - event.begin),
                   Json(event.name()).dump(), name_of(event.kind));
    if (event.bytes != 0) fmt::format_to(out, ",\"args\":{{\"bytes\":{}}}", event.bytes);
    fmt::format_to(out, "}}");
  }
  return fmt::to_string(text);
}

}  // namespace tranche::trace
