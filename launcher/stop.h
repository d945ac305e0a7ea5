// SIGTERM (clusters send it before they pre-empt), SIGINT, and SIGUSR1 (which mpirun and srun pass on to every rank
// without ending the job themselves): finish the step, write a checkpoint, exit with Exit::stopped.
#pragma once

namespace tranche {

// Call before any other thread is started. From here on the first such signal is only noted; a second SIGINT ends the
// process as usual.
//
// The signals are blocked in every thread, and one thread of their own waits for them: oneDNN's generated products use
// the stack pointer as one more register, so a signal that is handled on a computing thread writes its frame over
// whatever that register points to.
void watch_for_stop();
void stop_at_once();    // from here on such a signal ends the process
bool stop_requested();  // any thread

}  // namespace tranche
