#include "launcher/step_fault.h"

#include <utility>

namespace tranche {
namespace {

StepFault installed;

}  // namespace

void set_step_fault(StepFault fault) { installed = std::move(fault); }

const StepFault& step_fault() { return installed; }

}  // namespace tranche
