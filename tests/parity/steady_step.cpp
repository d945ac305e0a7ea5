// The promise: once a run is in its stride, a step asks for no memory: no mmap and no malloc of more than 4 KiB,
// whatever library it comes from; this program's own malloc and mmap count. One exception: oneDNN packs its operands
// into a block from posix_memalign at each product, and takes none of ours. Those blocks come from the heap and go back
// to it, and how far it grows depends on its threads' timing.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "runtime/base/trace.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/train/batches.h"
#include "runtime/train/loop.h"
#include "tests/support/ranks.h"
#include "tests/support/small_job.h"

namespace {

constexpr std::size_t small = 4096;
std::atomic<bool> counting{false};
std::atomic<std::size_t> blocks{0}, large_blocks{0}, largest{0}, mappings{0};

bool is_of_onednn(const void* code) {
  Dl_info library{};
  return ::dladdr(code, &library) != 0 && std::strstr(library.dli_fname, "libdnnl") != nullptr;
}

void note(std::size_t bytes, const void* caller) {
  if (!counting.load(std::memory_order_relaxed)) return;
  ++blocks;
  if (bytes <= small || is_of_onednn(caller)) return;
  ++large_blocks;
  std::size_t before = largest;
  while (before < bytes && !largest.compare_exchange_weak(before, bytes)) continue;
}

}  // namespace

// glibc's own, under the names it keeps for those who replace malloc.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);

void* malloc(std::size_t bytes) {
  note(bytes, __builtin_return_address(0));
  return __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) {
  note(count * bytes, __builtin_return_address(0));
  return __libc_calloc(count, bytes);
}
void* realloc(void* block, std::size_t bytes) {
  note(bytes, __builtin_return_address(0));
  return __libc_realloc(block, bytes);
}
void* memalign(std::size_t alignment, std::size_t bytes) {
  note(bytes, __builtin_return_address(0));
  return __libc_memalign(alignment, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  note(bytes, __builtin_return_address(0));
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** block, std::size_t alignment, std::size_t bytes) {
  note(bytes, __builtin_return_address(0));
  *block = __libc_memalign(alignment, bytes);
  return *block == nullptr ? ENOMEM : 0;
}
void free(void* block) { __libc_free(block); }

void* mmap(void* address, std::size_t bytes, int protection, int flags, int file, off_t offset) {
  static const auto real = reinterpret_cast<decltype(&::mmap)>(::dlsym(RTLD_NEXT, "mmap"));
  if (counting) ++mappings;
  return real(address, bytes, protection, flags, file, offset);
}
}

namespace tranche::testing {
namespace {

struct Asked {
  std::size_t large_blocks, largest, mappings;
};

// What the steps 5 to 7 of a run asked the system for: reading the batch, the step, and agreeing to go on.
Asked asked_by_steps(const SmallJob& small_job, const Arrangement& arrangement) {
  constexpr std::uint64_t before = 4, all = 7;
  SmallRun run;
  const std::filesystem::path file = run.write_job(small_job, "steady");
  std::vector<std::string> changes = run.overrides(arrangement);
  changes.insert(changes.end(), small_job.changes.begin(), small_job.changes.end());
  Asked asked{};
  large_blocks = largest = mappings = 0;
  on_ranks(arrangement.ranks, [&](Communicator& world) {
    Job job{read_job(file, changes)};
    job.settle(world.size());
    CpuDevice device{arrangement.threads, job.device.capacity()}, host{arrangement.threads};
    const TokenFile tokens{job.data.train};
    SwapDisk disk{job.offload};
    Assembly assembly{job, tokens.sha256(), world, {device, host, disk}};
    const BatchReader reader{tokens, job.batch, job.data.sequence_length, job.train.seed, device};
    const auto steps = [&](std::uint64_t last) {
      run_loop(assembly.trainer(), last, 0, world,
               {.batch = [&](std::uint64_t step) { return reader.read(step, world.rank()); },
                .report = [](const StepReport&, double) {},
                .save = {},
                .stop = [] { return false; }});
    };
    steps(before);
    world.barrier("in its stride");
    if (world.rank() == 0) counting = true;
    world.barrier("counting begins");
    steps(all);
    world.barrier("counting ends");
    if (world.rank() == 0) {
      counting = false;
      asked = {large_blocks, largest, mappings};
    }
    world.barrier("counted");
  });
  return asked;
}

// Large enough that everything whose size grows with the model exceeds 4 KiB.
SmallJob job_of(Numbers numbers, Architecture architecture) {
  const bool gpt2 = architecture == Architecture::gpt2;
  return {.numbers = numbers,
          .architecture = architecture,
          .micro_batches = 4,
          .changes = {gpt2 ? "model.n_embd=128" : "model.hidden_size=128",
                      gpt2 ? "model.n_layer=10" : "model.num_hidden_layers=10",
                      gpt2 ? "model.n_positions=96" : "model.max_position_embeddings=96", "data.sequence_length=96",
                      "train_batch_size=48", "train_micro_batch_size_per_gpu=12"}};
}

void expect_nothing(const Asked& asked) {
  EXPECT_EQ(asked.large_blocks, 0u) << "blocks above 4 KiB from malloc, the largest of " << asked.largest << " bytes";
  EXPECT_EQ(asked.mappings, 0u) << "calls of mmap";
}

TEST(ASteadyStep, AsksTheSystemForNoMemory) {
  for (const auto& [numbers, architecture] : {std::pair{Numbers::float32, Architecture::gpt2},
                                              {Numbers::bfloat16, Architecture::llama},
                                              {Numbers::float16, Architecture::gpt2}}) {
    SCOPED_TRACE(str("numbers ", static_cast<int>(numbers), ", architecture ", static_cast<int>(architecture)));
    expect_nothing(asked_by_steps(job_of(numbers, architecture), {.threads = 2}));
  }
}

TEST(ASteadyStep, OfTwoRanksAsksTheSystemForNoMemory) {
  for (const auto& [stage, recompute] : {std::pair{0, false}, {2, false}, {3, true}}) {
    SCOPED_TRACE(str("stage ", stage, recompute ? ", recomputing" : ""));
    const Arrangement arrangement{.ranks = 2, .stage = static_cast<std::size_t>(stage), .recompute = recompute};
    expect_nothing(asked_by_steps(job_of(Numbers::bfloat16, Architecture::gpt2), arrangement));
  }
}

TEST(ASteadyStep, AsksForNoMemoryWhileItIsTraced) {
  trace::start();
  expect_nothing(asked_by_steps(job_of(Numbers::bfloat16, Architecture::gpt2), {.ranks = 2, .stage = 3}));
  EXPECT_GT(trace::stop().events.size(), 100u);
}

TEST(ASpan, TakesNotOneByte) {
  static char text[100];
  static constexpr trace::Listener names{.begin = [](const trace::Event& event) { event.name(text); }, .end = [] {}};
  const std::string name(1000, 'x');
  for (const bool watched : {false, true}) {
    if (watched) {
      trace::start(10);
      trace::tell(&names);
    }
    blocks = 0;
    counting = true;
    for (std::uint64_t i = 0; i < 20; ++i) {
      const trace::Span step{trace::Kind::step, "step", i};
      const trace::Span span{trace::Kind::compute, "forward", name};
    }
    counting = false;
    EXPECT_EQ(blocks, 0u) << "watched " << watched;
  }
  trace::tell(nullptr);
  EXPECT_EQ(trace::stop().events.size(), 10u);
}

TEST(TheCounter, SeesALargeBlock) {
  large_blocks = 0;
  counting = true;
  std::free(std::malloc(small + 1));
  counting = false;
  EXPECT_EQ(large_blocks, 1u);
}

}  // namespace
}  // namespace tranche::testing
