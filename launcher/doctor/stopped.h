// How `tranche doctor` ends on a signal: where it notices, so that it takes with it what it has made.
#pragma once

#include "launcher/stop.h"
#include "runtime/base/error.h"

namespace tranche::doctor {

// Throws once a signal has come that asks this process to stop (launcher/stop.h).
inline void end_if_stopped() {
  ensure(Exit::stopped, !stop_requested(), "stopped by a signal; nothing is left behind");
}

}  // namespace tranche::doctor
