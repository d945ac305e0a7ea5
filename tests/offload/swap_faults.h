// A disk that fails offloaded state alone: checkpoints and jobs are read and written as ever.
#pragma once

#include <atomic>

#include "runtime/base/file.h"

namespace tranche::testing {

class SwapFaults : public IoFaults {
 public:
  // The call numbered `at` (from 0), and all later ones, go as `verdict` says.
  SwapFaults(IoCall call, std::size_t at, Verdict verdict) : call_(call), at_(at), verdict_(verdict) {
    previous_ = set_io_faults(this);
  }
  ~SwapFaults() override { set_io_faults(previous_); }

  Verdict before(IoCall call, const std::filesystem::path& path, std::size_t) override {
    if (call != call_ || path.filename() != "swap file") return {};
    return calls_++ >= at_ ? verdict_ : Verdict{};
  }
  std::size_t calls() const { return calls_; }

 private:
  IoCall call_;
  std::size_t at_;
  Verdict verdict_;
  std::atomic<std::size_t> calls_{0};
  IoFaults* previous_ = nullptr;
};

}  // namespace tranche::testing
