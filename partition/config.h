// What a job file says about ZeRO ("zero_optimization").
#pragma once

#include <cstddef>
#include <optional>

namespace tranche {

class Section;

struct ZeroConfig {
  std::size_t stage = 0;                          // 0..3
  std::size_t prefetch_bucket_size = 50'000'000;  // elements gathered ahead of use at stage 3
  std::optional<bool> overlap_comm{};

  bool overlap() const { return overlap_comm.value_or(stage == 3); }
  void declare(Section& zero);
};

}  // namespace tranche
