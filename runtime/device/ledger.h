// Which bytes are alive on a device: by category and by owner, now and at the peak.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>

namespace tranche {

enum class Category : std::size_t { parameters, gradients, optimizer, activations, communication, workspace };
inline constexpr std::size_t category_count = 6;
std::string_view name_of(Category category);

// Thread-safe.
class Ledger {
 public:
  // One live allocation; remove it when its bytes go.
  struct Entry {
    Category category;
    std::size_t bytes;
    std::string owner;
  };
  using Line = std::list<Entry>::iterator;

  Line add(Category category, std::size_t bytes, std::string_view owner);
  void remove(Line line);

  std::size_t live(Category category) const;
  std::size_t peak(Category category) const;
  std::size_t live() const;  // all categories
  std::size_t peak() const;  // of the sum, which is at most the sum of the peaks
  // The largest sum of these categories' live bytes at one moment, since construction or reset_peaks.
  std::size_t peak_of_training_state() const;  // parameters + gradients + optimizer
  void reset_peaks();                          // to what is live
  // From here on each rise of peak() notes what `moment` says then; what the last one said.
  void note_moments(std::function<std::string()> moment);
  std::string moment_of_peak() const;

  // A table by category, then the `owners` largest owners.
  std::string report(std::size_t owners = 10) const;

 private:
  mutable std::mutex mutex_;
  std::list<Entry> entries_;
  std::array<std::size_t, category_count> live_{}, peak_{};
  std::size_t total_ = 0, total_peak_ = 0, state_peak_ = 0;
  std::function<std::string()> moment_;
  std::string moment_of_peak_;
};

// "1.50 GiB", "712 B".
std::string in_units(std::size_t bytes);

}  // namespace tranche
