// Where tests break a run from inside of it, as runtime/base/file.h is where they break its disk.
#pragma once

#include <cstdint>
#include <functional>

#include "runtime/comm/communicator.h"

namespace tranche {

class Assembly;

// Called by every rank's training thread before each step; `step` counts from 1. What it does to this rank's state, or
// with the training's own communicator, happens as if the step had done it.
using StepFault = std::function<void(std::uint64_t step, Assembly& assembly, Communicator& world)>;

// Process-wide; empty, as it is at the start, for none. Before training begins.
void set_step_fault(StepFault fault);
const StepFault& step_fault();

}  // namespace tranche
