// Which micro-batch of which step is being computed: part of the key of every random number drawn for it. Never the
// rank.
#pragma once

#include <cstdint>

namespace tranche {

struct Moment {
  std::uint64_t step = 0, micro_batch = 0;  // micro_batch is numbered within the step, over all ranks
  bool backward = false;  // within a visit's backward: what is computed forward there was computed once before

  static Moment& now() {  // of this thread
    thread_local Moment moment;
    return moment;
  }
};

}  // namespace tranche
