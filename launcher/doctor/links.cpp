#include "launcher/doctor/links.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>

#include "launcher/session.h"

namespace tranche::doctor {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_of(const std::function<void()>& work) {
  const Clock::time_point begin = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double middle(std::vector<double> values) {
  const auto at = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::ranges::nth_element(values, at);
  return *at;
}

// Once all are there, so that a rank that comes late is not taken for a slow link.
double seconds_together(Communicator& world, const std::function<void()>& work) {
  world.barrier("doctor");
  return seconds_of(work);
}

double slowest_of(Communicator& world, double seconds) {
  const std::vector<double> all = world.gather(std::span{&seconds, 1}, "seconds");
  return std::ranges::max(all);
}

// Seconds until a broadcast of `root` has reached each rank, the best of two.
std::vector<double> broadcast_seconds(Communicator& world, std::span<std::byte> row, std::size_t root) {
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 2; ++i)
    best = std::min(best, seconds_together(world, [&] { world.broadcast(row, root, "doctor").wait(); }));
  return world.gather(std::span{&best, 1}, "seconds");
}

// A slow link to one rank slows each broadcast that reaches it, and those of other ranks at no other place: so the
// middle one of a rank's own tells it from the others.
std::vector<double> rates_of_broadcasts(Communicator& world, std::span<std::byte> row) {
  constexpr std::chrono::seconds most{4};
  std::vector<std::vector<double>> seconds(world.size());
  const Clock::time_point begin = Clock::now();
  for (std::size_t root = 0; root < world.size(); ++root) {
    if (root > 1 && !world.all_agree(Clock::now() - begin < most, "time is left")) break;
    const std::vector<double> reached = broadcast_seconds(world, row, root);
    for (std::size_t rank = 0; rank < world.size(); ++rank) {
      if (rank == root) continue;
      seconds[root].push_back(reached[rank]);
      seconds[rank].push_back(reached[rank]);
    }
  }
  std::vector<double> rates;
  for (const std::vector<double>& each : seconds) rates.push_back(static_cast<double>(row.size()) / middle(each));
  return rates;
}

}  // namespace

Links measure_links(Session& session) {
  const std::unique_ptr<CpuDevice> device = session.make_cpu_device({});
  const std::unique_ptr<Communicator> world = session.make_world(*device);
  constexpr std::size_t mebibyte = std::size_t{1} << 20;
  const std::size_t ranks = world->size();
  Links links{.row = std::clamp<std::size_t>(512 * mebibyte / ranks, mebibyte / 16, 16 * mebibyte)};

  const Buffer buffer = device->allocate(ranks * links.row, Category::communication, "doctor");
  const std::span<std::byte> all{buffer.data(), buffer.bytes()};
  std::ranges::fill(all, std::byte{1});
  const std::span<std::byte> mine = all.subspan(world->rank() * links.row, links.row);
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 3; ++i)
    best = std::min(best, seconds_together(*world, [&] { world->all_gather(mine, all, "doctor").wait(); }));
  links.all_gather = static_cast<double>((ranks - 1) * links.row) / slowest_of(*world, best);

  std::vector<double> times;
  std::vector<std::byte> numbers(ranks * sizeof(double));
  const std::span<std::byte> number = std::span{numbers}.subspan(world->rank() * sizeof(double), sizeof(double));
  for (int i = 0; i < 100; ++i)
    times.push_back(seconds_of([&] { world->all_gather(number, numbers, "doctor").wait(); }));
  links.latency = slowest_of(*world, middle(times));

  links.rates = rates_of_broadcasts(*world, mine);
  return links;
}

}  // namespace tranche::doctor
