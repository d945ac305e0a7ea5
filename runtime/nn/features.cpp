#include "runtime/nn/features.h"

#include "runtime/base/error.h"

namespace tranche {

std::size_t Features::entries() const {
  std::size_t each = 0;
  for (const Strip& strip : strips) each += strip.each;
  return count * each;
}

Features stream_of(std::size_t width) { return {FeatureKind::stream, "stream", width}; }

std::size_t left_of(const FeatureCounts& counts, const std::string& name, std::size_t count) {
  const auto found = counts.find(name);
  if (found == counts.end()) return count;
  ensure(Exit::job_file, found->second >= 1 && found->second <= count, "\"pruned_to\": of ", name, " ", found->second,
         " are left, expected 1 to ", count);
  return found->second;
}

}  // namespace tranche
