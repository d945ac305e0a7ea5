#include "tests/cuda_emulation/streams.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "runtime/base/error.h"
#include "tests/cuda_emulation/launch.h"
#include "tests/cuda_emulation/memory.h"

namespace tranche::cuda_emulation {
namespace {

// How much of each stream, by number, precedes something.
using Clock = std::vector<std::uint32_t>;
void join(Clock& clock, const Clock& other) {
  if (clock.size() < other.size()) clock.resize(other.size());
  for (std::size_t i = 0; i < other.size(); ++i) clock[i] = std::max(clock[i], other[i]);
}

struct Queue;

// What an event stands for: a place in a stream.
struct Recorded {
  std::shared_ptr<Queue> queue;  // null: it was never recorded
  std::uint32_t place = 0;
  Clock clock;
};

struct Work {
  std::string name;
  std::function<void()> run;  // none: it only waits
  Recorded after;
  Clock clock;
  std::uint32_t place = 0;
};

struct Queue {
  std::size_t number = 0;
  std::deque<Work> work;
  std::uint32_t given = 0, done = 0;
  Clock clock;
  std::optional<std::vector<Captured>> captured;  // while it is
};

// Launch numbers: where each stands, and what precedes the running one.
struct Launch {
  std::size_t stream = 0;
  std::uint32_t place = 0;
  std::string name;
};

struct State {
  std::recursive_mutex turn;
  std::vector<std::shared_ptr<Queue>> queues;  // by number; destroyed ones stay
  std::set<cudaStream_t> streams;
  std::set<cudaEvent_t> events;
  Clock host;
  std::vector<Launch> launches{1};
  const Work* running = nullptr;
  std::size_t running_stream = 0;
  bool broken = false;
  std::mt19937_64 generator{1};
  When when = When::at_once;
};
State& state() {
  static State* const all = [] {
    auto* made = new State;  // outlives whoever says goodbye late
    const char* text = std::getenv("TRANCHE_STREAM_ORDER");
    const std::string order = text == nullptr ? "eager" : text;
    if (order == "lazy") made->when = When::late;
    if (order.starts_with("random:")) {
      made->when = When::drawn;
      made->generator.seed(std::strtoull(order.c_str() + 7, nullptr, 10));
    }
    check(made->when != When::at_once || order == "eager", "TRANCHE_STREAM_ORDER is '", order,
          "': expected eager, lazy or random:SEED");
    return made;
  }();
  return *all;
}

[[noreturn]] void fault(const std::string& what) {
  if (!state().broken) std::fprintf(stderr, "emulated CUDA: %s\n", what.c_str());
  state().broken = true;
  throw Fault{what};
}

}  // namespace
}  // namespace tranche::cuda_emulation

struct CUstream_st {
  std::shared_ptr<tranche::cuda_emulation::Queue> queue = std::make_shared<tranche::cuda_emulation::Queue>();
};
struct CUevent_st {
  tranche::cuda_emulation::Recorded recorded;
};

namespace tranche::cuda_emulation {
namespace {

Queue& queue_of(cudaStream_t stream) {
  if (!state().streams.contains(stream)) fault("a stream that was destroyed, or never made");
  return *stream->queue;
}
Recorded& recorded_by(cudaEvent_t event) {
  if (!state().events.contains(event)) fault("an event that was destroyed, or never made");
  return event->recorded;
}

// That of a stream which is not being captured.
Queue& running_queue_of(cudaStream_t stream, const char* what) {
  Queue& queue = queue_of(stream);
  if (queue.captured) fault(str(what, " of a stream that is being captured"));
  return queue;
}

bool may_run(const Work& work) { return work.after.queue == nullptr || work.after.queue->done >= work.after.place; }

void run_next(Queue& queue) {
  State& all = state();
  const Work work = std::move(queue.work.front());
  queue.work.pop_front();
  if (work.run) {
    all.running = &work;
    all.running_stream = queue.number;
    memory().open();
    try {
      work.run();
    } catch (const Fault& found) {
      all.running = nullptr;
      fault(found.what());
    }
    memory().close();
    all.running = nullptr;
  }
  queue.done = work.place;
}

// Any of the queues that may go on; null if none.
Queue* drawn_queue() {
  std::vector<Queue*> ready;
  for (const auto& each : state().queues)
    if (!each->work.empty() && may_run(each->work.front())) ready.push_back(each.get());
  if (ready.empty()) return nullptr;
  return ready[state().generator() % ready.size()];
}

// What must run before the queue has come to that place, and, where the order is drawn, anything else besides.
void run_until(Queue& queue, std::uint32_t place) {
  while (queue.done < place) {
    if (state().when == When::drawn) {
      run_next(*drawn_queue());
      continue;
    }
    const Work& next = queue.work.front();
    if (may_run(next))
      run_next(queue);
    else
      run_until(*next.after.queue, next.after.place);
  }
}

std::uint32_t put(Queue& queue, std::string name, std::function<void()> run, Recorded after) {
  join(queue.clock, state().host);
  join(queue.clock, after.clock);
  if (queue.clock.size() <= queue.number) queue.clock.resize(queue.number + 1);
  const std::uint32_t place = queue.clock[queue.number] = ++queue.given;
  queue.work.push_back({std::move(name), std::move(run), std::move(after), queue.clock, place});
  return place;
}

void give(Queue& queue, std::string name, std::function<void()> run, Recorded after) {
  State& all = state();
  const std::uint32_t place = put(queue, std::move(name), std::move(run), std::move(after));
  if (all.when == When::at_once) run_until(queue, place);
  if (all.when == When::drawn)
    for (std::uint64_t few = all.generator() % 3; few > 0; --few)
      if (Queue* next = drawn_queue()) run_next(*next);
}

}  // namespace

When stream_order() { return state().when; }
bool broken() { return state().broken; }
std::unique_lock<std::recursive_mutex> turn() { return std::unique_lock{state().turn}; }
std::unique_lock<std::recursive_mutex> try_turn() { return std::unique_lock{state().turn, std::try_to_lock}; }

std::uint32_t next_launch() {
  State& all = state();
  all.launches.push_back(all.running == nullptr ? Launch{}
                                                : Launch{all.running_stream, all.running->place, all.running->name});
  return static_cast<std::uint32_t>(all.launches.size() - 1);
}

bool launch_precedes(std::uint32_t launch) {
  const State& all = state();
  const Launch& other = all.launches[launch];
  if (all.running == nullptr || other.place == 0) return true;  // without a stream there is but one order
  return other.stream < all.running->clock.size() && all.running->clock[other.stream] >= other.place;
}

std::string launch_name(std::uint32_t launch) { return state().launches[launch].name; }

void enqueue(cudaStream_t stream, const char* what, std::function<void()> work) {
  if (stream == nullptr) return work();
  const auto held = turn();
  if (broken()) return;
  Queue& queue = queue_of(stream);
  if (queue.captured)
    queue.captured->push_back({what, std::move(work)});
  else
    give(queue, what, std::move(work), {});
}

void begin_capture(cudaStream_t stream) {
  const auto held = turn();
  running_queue_of(stream, "a capture").captured.emplace();
}

std::vector<Captured> end_capture(cudaStream_t stream) {
  const auto held = turn();
  Queue& queue = queue_of(stream);
  if (!queue.captured) fault("the end of a capture that did not begin");
  std::vector<Captured> captured = std::move(*queue.captured);
  queue.captured.reset();
  return captured;
}

bool captures() {
  const auto held = turn();
  return std::ranges::any_of(state().queues, [](const auto& queue) { return queue->captured.has_value(); });
}

void refuse_capture(cudaStream_t stream, const char* what) {
  const auto held = turn();
  running_queue_of(stream, what);
}

void refuse_capture(const char* what) {
  const auto held = turn();
  if (captures()) fault(str(what, " while a stream is being captured"));
}

std::uint32_t post(cudaStream_t stream, const char* what, std::function<void()> work) {
  const auto held = turn();
  return broken() ? 0 : put(queue_of(stream), what, std::move(work), {});
}

void come_to(cudaStream_t stream, std::uint32_t place) {
  const auto held = turn();
  if (!broken() && state().streams.contains(stream)) run_until(*stream->queue, place);
}

cudaStream_t make_stream() {
  const auto held = turn();
  auto* const stream = new CUstream_st;
  stream->queue->number = state().queues.size();
  state().queues.push_back(stream->queue);
  state().streams.insert(stream);
  return stream;
}

void destroy_stream(cudaStream_t stream) {
  const auto held = turn();
  Queue& queue = running_queue_of(stream, "the end");
  run_until(queue, queue.given);
  state().streams.erase(stream);
  delete stream;
}

cudaEvent_t make_event() {
  const auto held = turn();
  return *state().events.insert(new CUevent_st).first;
}

void destroy_event(cudaEvent_t event) {
  const auto held = turn();
  recorded_by(event);
  state().events.erase(event);
  delete event;
}

void record(cudaEvent_t event, cudaStream_t stream) {
  const auto held = turn();
  Queue& queue = running_queue_of(stream, "an event");
  join(queue.clock, state().host);
  recorded_by(event) = {stream->queue, queue.given, queue.clock};
}

void wait_in_stream(cudaStream_t stream, cudaEvent_t event) {
  const auto held = turn();
  give(running_queue_of(stream, "a wait"), "a wait", {}, recorded_by(event));
}

void wait_on_host(cudaStream_t stream) {
  const auto held = turn();
  Queue& queue = running_queue_of(stream, "a wait of the host for work");
  run_until(queue, queue.given);
  join(state().host, queue.clock);
}

void wait_on_host(cudaEvent_t event) {
  const auto held = turn();
  const Recorded& recorded = recorded_by(event);
  if (recorded.queue == nullptr) return;
  run_until(*recorded.queue, recorded.place);
  join(state().host, recorded.clock);
}

void wait_for_all() {
  const auto held = turn();
  for (const auto& queue : state().queues) {
    run_until(*queue, queue->given);
    join(state().host, queue->clock);
  }
}

std::size_t live_streams() { return state().streams.size(); }
std::size_t live_events() { return state().events.size(); }

}  // namespace tranche::cuda_emulation
