// Where the ranks of a job that stands still are, for its report.
#pragma once

#include <string>

#include "launcher/control/roll.h"

namespace tranche {

// Of those that have been heard of since then, all.
bool all_have_answered(const Roll& roll, Roll::Time since);

// Lines for a person: of each rank the functions that it is in, ranks with the same ones together; of one that did not
// answer and runs on this machine, what the kernel says of its process.
std::string whereabouts(const Roll& roll);

}  // namespace tranche
