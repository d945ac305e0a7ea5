#include "runtime/ops/cpu/scratch.h"

#include <array>
#include <cstdlib>
#include <memory>

#include "runtime/base/error.h"

namespace tranche::ops {
namespace {

struct Free {
  void operator()(void* data) const { std::free(data); }
};
struct Slot {
  std::unique_ptr<void, Free> data;
  std::size_t bytes = 0;
};

}  // namespace

void* scratch(Scratch slot, std::size_t bytes) {
  thread_local std::array<Slot, static_cast<std::size_t>(Scratch::count)> slots;
  Slot& held = slots[static_cast<std::size_t>(slot)];
  if (held.bytes < bytes) {
    held.data.reset();
    held.data.reset(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
    ensure(Exit::out_of_memory, held.data != nullptr, "a thread's scratch of ", bytes, " bytes does not fit in memory");
    held.bytes = bytes;
  }
  return held.data.get();
}

}  // namespace tranche::ops
