// SIGTERM (clusters send it before they pre-empt) and SIGINT: finish the step, write a checkpoint, exit with
// Exit::stopped.
#pragma once

namespace tranche {

// From here on the first such signal is only noted; a second SIGINT ends the process as usual.
void watch_for_stop();
void stop_at_once();    // from here on such a signal ends the process
bool stop_requested();  // any thread

}  // namespace tranche
