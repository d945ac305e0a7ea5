// What `tranche doctor` found of one thing.
#pragma once

#include <cstddef>
#include <string>

#include "runtime/device/ledger.h"

namespace tranche::doctor {

// Of what works. What does not work is an Error.
struct Finding {
  std::string text;
  std::string advice{};  // what to do about something that costs time or may surprise; empty: all is well
};

// One more piece of advice.
inline void advise(Finding& finding, const std::string& advice) {
  finding.advice += (finding.advice.empty() ? "" : "; ") + advice;
}

// Of bytes in a second.
inline std::string rate_text(double rate) { return in_units(static_cast<std::size_t>(rate)) + "/s"; }

}  // namespace tranche::doctor
