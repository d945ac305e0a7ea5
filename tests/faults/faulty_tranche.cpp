// The program, with something wrong in it: `faulty_tranche launch ...` starts ranks of itself, of which one (at the
// job's first start, not when it goes on after a failure) does what TRANCHE_FAULT says:
//   stop|skip|count|reorder|flip|copy|diverge|slow|full, a colon, and the step before which it does
#include <signal.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>

#include "launcher/assemble.h"
#include "launcher/run_program.h"
#include "launcher/step_fault.h"
#include "runtime/base/file.h"

namespace tranche {
namespace {

constexpr std::size_t culprit = 1;

// One bit of an element of the last unit's second moments, where nobody is told of it.
void flip_bit(OptimizerPlacement& placement, std::size_t units) {
  const Tensor moments = placement.borrow(2, units - 1);
  float& element = moments.span<float>()[7];
  element = std::bit_cast<float>(std::bit_cast<std::uint32_t>(element) ^ 0x10);
}

// The same of a parameter that it computes with: where it has more than its own part, in a part of another rank.
void flip_copy(const Owned& owned) {
  const Tensor& whole = owned.unit->values();
  const Tensor part = whole.storage().allocated() ? whole : owned.working;
  part.byte_span()[0] ^= std::byte{4};
}

// Masters that are written as a feature would write them.
void diverge(OptimizerPlacement& placement, std::size_t units) {
  const Tensor masters = placement.borrow(0, units - 1);
  for (float& element : masters.span<float>()) element += 0.5f;
  placement.give_back(0, units - 1, masters.span<const float>());
}

void count_wrong(Communicator& world, bool wrong) {
  std::vector<std::byte> mine(wrong ? 24 : 16), all(mine.size() * world.size());
  world.all_gather(mine, all, "rows").wait();
}

class FullDisk : public IoFaults {
 public:
  Verdict before(IoCall call, const std::filesystem::path&, std::size_t) override {
    return {.error = call == IoCall::write || call == IoCall::create ? ENOSPC : 0};
  }
};

void break_step(std::string_view fault, Assembly& assembly, Communicator& world) {
  const bool mine = world.rank() == culprit;
  OptimizerPlacement& placement = assembly.replica().placement();
  const std::size_t units = assembly.replica().owned().size();
  std::string first = "gradients", second = "parameters";
  if (mine && fault == "reorder") std::swap(first, second);
  if (fault == "reorder" || (fault == "skip" && !mine)) world.barrier(first);
  if (fault == "reorder") world.barrier(second);
  if (fault == "count") count_wrong(world, mine);
  if (!mine) return;
  if (fault == "stop") ::raise(SIGSTOP);
  if (fault == "flip") flip_bit(placement, units);
  if (fault == "copy") flip_copy(assembly.replica().owned().back());
  if (fault == "diverge") diverge(placement, units);
  if (fault == "full") {
    static FullDisk full;
    set_io_faults(&full);
  }
}

}  // namespace
}  // namespace tranche

int main(int argc, char** argv) {
  using namespace tranche;
  const char* const given = std::getenv("TRANCHE_FAULT");
  const std::string_view planted = given == nullptr ? "" : given;
  const bool again = std::any_of(argv, argv + argc, [](std::string_view word) { return word == "--resume"; });
  if (const std::size_t colon = planted.find(':'); colon != planted.npos && !again)
    set_step_fault([fault = planted.substr(0, colon), at = std::stoull(std::string{planted.substr(colon + 1)})](
                       std::uint64_t step, Assembly& assembly, Communicator& world) {
      if (step == at) break_step(fault, assembly, world);
      if (step >= at && step < at + 100 && fault == "slow" && world.rank() == culprit)
        std::this_thread::sleep_for(std::chrono::milliseconds{50});
    });
  return run_program(argc, argv);
}
