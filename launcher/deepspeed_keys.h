// DeepSpeed's keys that no folder here reads: accepted without effect, or refused when they switch on what is missing.
#pragma once

namespace tranche {

class Section;

// Declares them in the job itself.
void declare_deepspeed_keys(Section& job);

}  // namespace tranche
