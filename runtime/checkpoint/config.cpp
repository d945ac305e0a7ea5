#include "runtime/checkpoint/config.h"

#include "runtime/base/settings.h"

namespace tranche {

void CheckpointConfig::declare(Section& checkpoint) {
  checkpoint.all_may_change();
  checkpoint.key("directory", directory)
      .about("The run's directory, for checkpoints and metrics.jsonl; none: `runs/` and the job file's name.");
  checkpoint.key("every", every).about("Steps between checkpoints; 0: only at the end and when the run is stopped.");
  checkpoint.key("keep", keep).about("How many of the newest are kept; 0: all.");
  checkpoint.key("start_from", start_from)
      .about(
          "The directory of another run (its newest complete step) or of one step, of the same model: a new run begins "
          "with its parameters, and with a fresh optimizer. A resumed one does not look there.");
  checkpoint.key("asynchronous", asynchronous)
      .about(
          "Training waits until its state is copied to host memory, not until it is on disk. The copy takes what the "
          "state takes: 12 bytes for each parameter that a rank owns.");
  checkpoint.no_effect("tag_validation", "Warn", "all ranks write one checkpoint under one name");
  checkpoint.no_effect("load_universal", false, "every checkpoint loads on any number of ranks");
  checkpoint.no_effect("use_node_local_storage", false, "a checkpoint lies in one directory that all ranks see");
  checkpoint.no_effect("parallel_write", nullptr, "ranks always write in parallel");
  checkpoint.no_effect("writer", nullptr, "there is one way to write");
  checkpoint.no_effect("checkpoint_serialization", nullptr, "there is one format");
}

}  // namespace tranche
