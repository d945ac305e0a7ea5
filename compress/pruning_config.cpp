#include "compress/pruning_config.h"

#include <charconv>

#include "runtime/base/error.h"
#include "runtime/nn/unit.h"

namespace tranche::compress {
namespace {

const std::string path = "compression_training.sparse_pruning";
constexpr std::size_t most_of = 64;  // weights of a block

// "2:4", or DeepSpeed's "4x1" for what is refused.
std::optional<BlockPattern> pattern_of(const std::string& text) {
  BlockPattern pattern;
  const char *begin = text.data(), *end = begin + text.size();
  const auto kept = std::from_chars(begin, end, pattern.kept);
  if (kept.ec != std::errc{} || kept.ptr == end || *kept.ptr != ':') return std::nullopt;
  const auto of = std::from_chars(kept.ptr + 1, end, pattern.of);
  if (of.ec != std::errc{} || of.ptr != end) return std::nullopt;
  const bool power_of_two = pattern.of >= 2 && pattern.of <= most_of && (pattern.of & (pattern.of - 1)) == 0;
  return power_of_two && pattern.kept >= 1 && pattern.kept < pattern.of ? std::optional{pattern} : std::nullopt;
}

}  // namespace

void PruningConfig::declare(Section& section) {
  Section& shared = section.section("shared_parameters", "When and which; masks are of what the optimizer updates.");
  shared.key("enabled", enabled).about("Whether single weights are pruned.");
  shared.choice<Method>("method", method, {{"l1", Method::l1}, {"l2", Method::l2}})
      .about("The smallest magnitudes go first; of single weights both norms say the same.");
  shared.choice<Scope>("scope", scope, {{"layer", Scope::layer}, {"global", Scope::global}})
      .about(
          "Whether each weight's tensor loses its part, or the tensors of a group together lose theirs. This key is "
          "ours.");
  shared.key("schedule_offset", offset).about("Updates before that begins.");
  shared.key("schedule_offset_end", end)
      .about(
          "Updates after which the target is reached, in between by Zhu and Gupta's cubic schedule. By default "
          "`schedule_offset`: all at once.");
  shared.key("schedule_offset_stride", stride).at_least(1).about("Updates between two masks on that way.");
  shared.key("block_pattern", pattern_)
      .about(
          "\"N:M\": of each M weights of a row N are left, 1 <= N < M, M a power of two up to 64; \"2:4\" is what "
          "sparse tensor cores take. `dense_ratio` is then N / M.");
  shared.key("excluded_modules", excluded_).about("A list of modules, as in a group, that are not pruned.");
  section.key("different_groups", groups_)
      .about(
          "Groups as in `weight_quantization`. params: `dense_ratio`, above 0 and at most 1: which part of the weights "
          "is left at the end.");
}

void PruningConfig::complete(const Source& source) {
  if (!enabled) return;
  const std::string shared = str(source.file, ": \"", path, ".shared_parameters.");
  ensure(Exit::job_file, !end || *end >= offset, shared, "schedule_offset_end\" is ", end.value_or(0),
         ", before \"schedule_offset\", ", offset);
  if (pattern_) {
    pattern = pattern_of(*pattern_);
    ensure(Exit::job_file, pattern.has_value(), shared, "block_pattern\" is \"", *pattern_,
           "\", expected \"N:M\" with 1 <= N < M and M = 2, 4, 8, 16, 32 or 64, such as \"2:4\"");
    ensure(Exit::job_file, scope == Scope::layer, shared, "scope\" is \"global\", but \"block_pattern\" says for each ",
           pattern->of, " weights how many are left: take one of them away");
  }
  if (!excluded_.empty()) excluded.patterns = read_patterns(excluded_, shared + "excluded_modules\"");
  const double of_pattern =
      pattern ? static_cast<double>(pattern->kept) / static_cast<double>(pattern->of) : -1;  // else it must be given
  by_modules =
      read_groups<PruningGroup>(groups_, path + ".different_groups", source, [&](Section& params, PruningGroup& group) {
        auto ratio = params.key("dense_ratio", group.dense_ratio)
                         .accept([](double value) { return value > 0 && value <= 1; }, "above 0 and at most 1");
        if (pattern)
          group.dense_ratio = of_pattern;
        else
          ratio.required();
      });
  for (const PruningGroup& group : by_modules)
    ensure(Exit::job_file, !pattern || group.dense_ratio == of_pattern, source.file, ": \"", path,
           ".different_groups\": \"dense_ratio\" is ", group.dense_ratio, ", but \"block_pattern\" ",
           pattern_.value_or(""), " leaves ", of_pattern, " of the weights: take one of them away");
}

void PruningConfig::check(const std::deque<Unit>& units) const {
  for (const PruningGroup& group : by_modules) group.modules.check_used(units, "sparse_pruning");
  if (!pattern) return;
  for (const Unit& unit : units) {
    std::size_t begin = 0;  // of the tensor in the unit's flat layout, which slices cut at multiples of 1,024
    for (const Parameter* each : unit.parameters()) {
      const bool fits = each->shape.cols() % pattern->of == 0 && begin % pattern->of == 0;
      ensure(Exit::job_file, fits || group_of(*each) == nullptr, "\"", path,
             ".shared_parameters.block_pattern\": ", each->name, " ", each->shape, " at element ", begin, " of ",
             unit.name(), " is not divided by ", pattern->of,
             ": exclude it with excluded_modules, or choose another pattern");
      begin += each->shape.size();
    }
  }
}

const PruningGroup* PruningConfig::group_of(const Parameter& parameter) const {
  return enabled && !excluded.contain(parameter) ? first_with(by_modules, parameter) : nullptr;
}

double PruningConfig::progress_after(std::uint64_t updates) const {
  const std::uint64_t last = end.value_or(offset);
  if (!enabled || updates < offset) return 0;
  if (updates >= last) return 1;
  const std::uint64_t at = (updates - offset) / stride * stride;
  const double left = 1 - static_cast<double>(at) / static_cast<double>(last - offset);
  return 1 - left * left * left;
}

}  // namespace tranche::compress
