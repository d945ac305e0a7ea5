#include "runtime/train/loop.h"

#include <chrono>

namespace tranche {

LoopEnd run_loop(Trainer& trainer, std::uint64_t steps, std::uint64_t every, Communicator& world,
                 const LoopHooks& hooks) {
  using Clock = std::chrono::steady_clock;
  bool saved = true;  // what there is to save
  const auto save = [&] {
    if (hooks.save && !saved) hooks.save();
    saved = true;
  };
  while (trainer.steps() < steps) {
    const Clock::time_point begin = Clock::now();
    const StepReport report = trainer.step(hooks.batch(trainer.steps()));
    saved = false;
    hooks.report(report, std::chrono::duration<double>(Clock::now() - begin).count());
    if (!world.all_agree(!hooks.stop(), "whether to go on")) {
      save();
      return LoopEnd::stopped;
    }
    if (every != 0 && trainer.steps() % every == 0) save();
  }
  save();
  return LoopEnd::finished;
}

}  // namespace tranche
