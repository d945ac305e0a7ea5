#include "compress/pruning_config.h"

#include <algorithm>
#include <charconv>
#include <cmath>

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

void declare_rewinding(Section& shared, Rewinding& rewinding) {
  Section& section = shared.section(
      "rewinding",
      "Iterative pruning, to find lottery tickets (Frankle, Carbin 2019). A training takes `schedule_offset` updates; "
      "then `dense_ratio`^(1 / rounds) of the weights that are left stay, the schedule of learning rates goes back to "
      "`to`, and training goes on. These keys are ours.");
  section.key("rounds", rewinding.rounds).about("How often weights are pruned. 0: no rewinding.");
  section
      .choice<Rewinding::What>(
          "what", rewinding.what,
          {{"weights", Rewinding::What::weights}, {"learning_rate", Rewinding::What::learning_rate}})
      .about(
          "Whether all weights become again what they were after `to` updates, with fresh moments of the optimizer, or "
          "stay as they are (Renda et al. 2020).");
  section.key("to", rewinding.to).about("After so many updates training is taken up again; below `schedule_offset`.");
}

}  // namespace

std::uint64_t Rewinding::ended_after(std::uint64_t updates, std::uint64_t first) const {
  return updates < first ? 0 : std::min<std::uint64_t>(rounds, 1 + (updates - first) / (first - to));
}

std::optional<std::uint64_t> Rewinding::last_before(std::uint64_t updates, std::uint64_t first) const {
  const std::uint64_t ended = ended_after(updates, first);
  return ended == 0 ? std::nullopt : std::optional{first + (ended - 1) * (first - to)};
}

void PruningConfig::declare(Section& section) {
  Section& shared = section.section("shared_parameters", "When and which; masks are of what the optimizer updates.");
  shared.key("enabled", enabled).about("Whether single weights are pruned.");
  shared.choice<Method>("method", method, {{"l1", Method::l1}, {"l2", Method::l2}, {"topk", Method::topk}})
      .about(
          "What goes first: the smallest magnitudes (of single weights both norms say the same), or with `topk` the "
          "lowest scores of movement (Sanh et al. 2020): each update takes learning rate * weight * gradient from a "
          "weight's score.");
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
  declare_rewinding(shared, rewinding);
  shared.key("excluded_modules", excluded_).about("A list of modules, as in a group, that are not pruned.");
  section.key("different_groups", groups_)
      .about(
          "Groups as in `weight_quantization`. params: `dense_ratio`, above 0 and at most 1: which part of the weights "
          "is left at the end; `l1_penalty` and `l2_penalty` (default 0): each weight's gradient gets the first times "
          "the weight's sign, and the second times the weight, behind clipping. These two are ours.");
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
  if (rewinding.rounds > 0) {
    ensure(Exit::job_file, rewinding.to < offset, shared, "rewinding.to\" is ", rewinding.to,
           ", not before \"schedule_offset\", ", offset, ", after which the first round ends");
    ensure(Exit::job_file, !end, shared, "schedule_offset_end\" is ", end.value_or(0),
           ", but \"rewinding\" says when weights go: take one of them away");
    ensure(Exit::job_file, method != Method::topk, shared,
           "method\" is \"topk\", but \"rewinding\" prunes by magnitude: scores would go on from the round before");
  }
  if (!excluded_.empty()) excluded.patterns = read_patterns(excluded_, shared + "excluded_modules\"");
  const double of_pattern =
      pattern ? static_cast<double>(pattern->kept) / static_cast<double>(pattern->of) : -1;  // else it must be given
  by_modules =
      read_groups<PruningGroup>(groups_, path + ".different_groups", source, [&](Section& params, PruningGroup& group) {
        auto ratio = params.key("dense_ratio", group.dense_ratio)
                         .accept([](double value) { return value > 0 && value <= 1; }, "above 0 and at most 1");
        params.key("l1_penalty", group.l1).at_least(0.0);
        params.key("l2_penalty", group.l2).at_least(0.0);
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

bool PruningConfig::penalises() const {
  return std::ranges::any_of(by_modules, [](const PruningGroup& group) { return group.l1 > 0 || group.l2 > 0; });
}

const PruningGroup* PruningConfig::group_of(const Parameter& parameter) const {
  return enabled && !excluded.contain(parameter) ? first_with(by_modules, parameter) : nullptr;
}

double PruningConfig::progress_after(std::uint64_t updates) const {
  const std::uint64_t last = end.value_or(offset);
  if (!enabled || updates < offset) return 0;
  if (rewinding.rounds > 0)
    return static_cast<double>(rewinding.ended_after(updates, offset)) / static_cast<double>(rewinding.rounds);
  if (updates >= last) return 1;
  const std::uint64_t at = (updates - offset) / stride * stride;
  const double left = 1 - static_cast<double>(at) / static_cast<double>(last - offset);
  return 1 - left * left * left;
}

std::uint64_t PruningConfig::settled_after() const {
  if (!enabled) return 0;
  if (rewinding.rounds == 0) return end.value_or(offset);
  return offset + (rewinding.rounds - 1) * (offset - rewinding.to) - 1;  // the next one is the last to go back
}

double PruningConfig::sparsity(double dense_ratio, double progress) const {
  return rewinding.rounds > 0 ? 1 - std::pow(dense_ratio, progress) : (1 - dense_ratio) * progress;
}

std::uint64_t PruningConfig::scheduled_after(std::uint64_t updates) const {
  if (!enabled || rewinding.rounds == 0) return updates;
  const auto rewound = rewinding.last_before(updates, offset);
  return rewound ? rewinding.to + (updates - *rewound) : updates;
}

std::uint64_t PruningConfig::counted_after(std::uint64_t updates) const {
  if (!enabled || !rewinding.of_weights()) return updates;
  return updates - rewinding.last_before(updates, offset).value_or(0);
}

}  // namespace tranche::compress
