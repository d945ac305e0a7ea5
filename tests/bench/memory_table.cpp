// Prints, for each stage on four ranks, what the formulas of ZeRO give, what the plan derives with padding and units in
// flight (docs/numerics.md), and what a real run measures. Fails where plan and measurement differ by more than 1 %.
#include <cmath>
#include <cstdio>

#include "tests/partition/measured_state.h"

int main() {
  using namespace tranche;
  using namespace tranche::testing;
  constexpr std::size_t ranks = 4;
  constexpr const char* formulas[] = {"18P", "2P + 16P/N", "2P + 16P/N", "18P/N"};
  SmallRun run;
  bool within = true;
  for (std::size_t stage = 0; stage < std::size(formulas); ++stage) {
    const SmallJob job{.numbers = Numbers::bfloat16,
                       .micro_batches = 8,
                       .changes = {"model.n_layer=24", "model.n_embd=128", str("zero_optimization.stage=", stage)}};
    const MeasuredState state = measure_state(run, job, ranks);
    if (stage == 0)
      std::printf(
          "GPT-2, 24 layers, width 128: P = %zu parameters, bfloat16, AdamW, N = %zu ranks; bytes on each rank\n"
          "(parameters, gradients and optimizer state at their peak)\n\n"
          "stage  formula          bytes   parameters    gradients    optimizer    in flight      planned     "
          "measured\n",
          state.parameters, ranks);
    const StateBytes& planned = state.planned;
    const double off = 100.0 * (static_cast<double>(state.measured) / static_cast<double>(planned.total()) - 1);
    within = within && std::abs(off) <= 1;
    std::printf("%5zu  %-10s %11zu  %11zu  %11zu  %11zu  %11zu  %11zu  %11zu  %+.2f %%\n", stage, formulas[stage],
                state.ideal, planned.parameters, planned.gradients, planned.optimizer, planned.in_flight,
                planned.total(), state.measured, off);
  }
  return within ? 0 : 1;
}
