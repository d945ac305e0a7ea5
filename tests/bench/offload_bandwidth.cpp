// Offloaded state beside what its memory and its disk can do, in turns: the host's AdamW and STREAM's triad over the
// same arrays; the disk queue, which reads ahead and writes behind as an update does, and plain O_DIRECT calls of the
// same sizes by as many threads as the queue has requests.
//
// Usage: bench_offload [FOLDER]     (on the disk; default: TMPDIR, else /tmp)
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <thread>
#include <vector>

#include "offload/disk_queue.h"
#include "runtime/base/error.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/ops/elementwise.h"
#include "runtime/ops/optimizer.h"
#include "tests/bench/ceilings.h"

namespace tranche::bench {
namespace {

constexpr int rounds = 5;

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

double seconds_taken(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void tell(const char* what, const char* ceiling, const std::vector<double>& mine, const std::vector<double>& best) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < mine.size(); ++i) ratios.push_back(mine[i] / best[i]);
  std::printf("| %s | %.2f | %s | %.2f | %.2f |\n", what, median(mine) / 1e9, ceiling, median(best) / 1e9,
              median(ratios));
}

// ---- Memory --------------------------------------------------------------------------------------------------------

void host_updates() {
  constexpr std::size_t size = std::size_t{32} << 20;
  const auto threads = static_cast<int>(std::thread::hardware_concurrency());
  CpuDevice host{static_cast<std::size_t>(threads), Device::unlimited, Sharing::nothing, Tier::host};
  const auto array = [&](DType dtype) { return Tensor::zeros(host, "array", Category::optimizer, {1, size}, dtype); };
  const Tensor weights = array(DType::float32), mean = array(DType::float32), square = array(DType::float32),
               gradient = array(DType::float32), rounded = array(DType::bfloat16);
  ops::fill_normal(gradient, RandomKey{1, Purpose::initialise}, 0, 0, 1);
  const ops::AdamStep step{.rate = 1e-3f, .weight_decay = 0.1f, .correction1 = 0.1f, .correction2 = 0.001f};
  for (const bool rounds_too : {false, true}) {
    std::vector<double> mine, best;
    const Tensor to = rounds_too ? rounded : Tensor{};
    const double bytes = (rounds_too ? 30.0 : 28.0) * static_cast<double>(size);
    ops::adam(step, weights, mean, square, gradient, to);
    for (int i = 0; i < rounds; ++i) {
      mine.push_back(bytes / seconds_of([&] { ops::adam(step, weights, mean, square, gradient, to); }));
      best.push_back(triad_rate(mean.span<float>(), square.span<float>(), gradient.span<float>(), threads));
    }
    tell(rounds_too ? "AdamW on the host, rounding to bfloat16" : "AdamW on the host", "triad", mine, best);
  }
}

// ---- The disk ------------------------------------------------------------------------------------------------------

constexpr std::size_t piece = std::size_t{16} << 20, pieces = 16, kinds = 3;  // 4 M elements of each kind of state

// As offloaded state has it: large blocks have huge pages where the system gives any. How scattered memory is decides
// how fast a disk fills it.
Buffer pages(Device& host, std::size_t bytes) {
  Buffer memory = host.allocate(bytes, Category::communication, "pieces");
  std::fill_n(memory.data(), bytes, std::byte{1});
  return memory;
}

// As an update with two moments: all kinds of a piece are read half a ring ahead, and written when they are there.
void stream(DiskQueue& queue, const std::vector<Buffer>& ring) {
  const std::size_t slots = ring.size() / kinds, ahead = slots / 2;
  std::vector<std::array<Event, kinds>> reads(slots), writes(slots);
  const auto each = [&](std::size_t i, const auto& work) {
    for (std::size_t kind = 0; kind < kinds; ++kind)
      work(reads[i % slots][kind], writes[i % slots][kind], (kind * pieces + i) * piece,
           std::span{ring[i % slots * kinds + kind].data(), piece});
  };
  for (std::size_t i = 0; i < pieces + ahead; ++i) {
    if (i < pieces)
      each(i, [&](Event& read, Event& write, std::uint64_t at, std::span<std::byte> memory) {
        write.wait();
        read = queue.read(at, memory);
      });
    if (i >= ahead)
      each(i - ahead, [&](Event& read, Event& write, std::uint64_t at, std::span<std::byte> memory) {
        read.wait();
        write = queue.write(at, memory);
      });
  }
  for (const auto& slot : writes)
    for (const Event& write : slot) write.wait();
}

// Half of `depth` threads read the file, half write it, a block at a time, each with its own part of the memory.
void plain(int descriptor, std::size_t block, std::size_t depth, const Buffer& memory) {
  std::vector<std::jthread> threads;
  for (std::size_t t = 0; t < depth; ++t)
    threads.emplace_back([=, mine = memory.data() + t * block] {
      const bool writes = t % 2 == 1;
      for (std::size_t at = t / 2 * block; at < piece * pieces * kinds; at += (depth / 2) * block) {
        const auto offset = static_cast<off_t>(at);
        const ssize_t done =
            writes ? ::pwrite(descriptor, mine, block, offset) : ::pread(descriptor, mine, block, offset);
        ensure(Exit::storage, done == static_cast<ssize_t>(block), "a plain transfer failed");
      }
    });
}

void disk_streams(const std::filesystem::path& folder, std::size_t queue_depth, std::size_t slots) {
  SwapFile file{folder};
  file.extend(piece * pieces * kinds);
  const AioConfig aio{.queue_depth = queue_depth};
  DiskQueue queue{file, aio};
  CpuDevice host{1, Device::unlimited, Sharing::nothing, Tier::host};
  std::vector<Buffer> ring;
  for (std::size_t i = 0; i < slots * kinds; ++i) ring.push_back(pages(host, piece));
  const Buffer blocks = pages(host, queue_depth * aio.block_size);
  for (int i = 0; i < 2; ++i) stream(queue, ring);  // blocks of the file come into being
  const double bytes = 2.0 * piece * pieces * kinds;
  std::vector<double> mine, best;
  for (int i = 0; i < rounds; ++i) {
    mine.push_back(bytes / seconds_taken([&] { stream(queue, ring); }));
    best.push_back(bytes / seconds_taken([&] { plain(file.descriptor(), aio.block_size, queue_depth, blocks); }));
  }
  tell(str("state on disk, aio.queue_depth ", queue_depth, ", buffer_count ", slots).c_str(), "plain O_DIRECT calls",
       mine, best);
}

}  // namespace
}  // namespace tranche::bench

int main(int argc, char** argv) {
  using namespace tranche;
  try {
    const char* temporary = std::getenv("TMPDIR");
    const std::filesystem::path folder = argc > 1 ? argv[1] : (temporary != nullptr ? temporary : "/tmp");
    std::printf("| offloaded state | GB/s | ceiling | GB/s | ratio, median of rounds |\n|---|---|---|---|---|\n");
    bench::host_updates();
    for (const std::size_t depth : {8, 32})
      for (const std::size_t slots : {4, 8}) bench::disk_streams(folder, depth, slots);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_offload: %s\n", error.what());
    return 1;
  }
}
