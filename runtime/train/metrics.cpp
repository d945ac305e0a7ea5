#include "runtime/train/metrics.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <string_view>

#include "runtime/base/json.h"

namespace tranche {
namespace {

Json number(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

Json by_name(const std::vector<std::pair<std::string, std::size_t>>& counts) {
  Json object = Json::object();
  for (const auto& [name, count] : counts) object[name] = count;
  return object;
}

// Of a whole line; nothing if it is not one of ours.
std::optional<std::size_t> step_of(std::string_view line) {
  try {
    return optional_member<std::size_t>(parse_json(line, "", Exit::internal), "step", "", Exit::internal);
  } catch (const Error&) {
    return std::nullopt;
  }
}

// How many bytes of the text are whole lines of steps up to `step`.
std::size_t kept_bytes(std::string_view text, std::uint64_t step) {
  std::size_t kept = 0;
  for (std::size_t end; (end = text.find('\n', kept)) != text.npos; kept = end + 1) {
    const std::optional<std::size_t> of_line = step_of(text.substr(kept, end - kept));
    if (!of_line || *of_line > step) break;
  }
  return kept;
}

File open_behind(const std::filesystem::path& path, std::uint64_t step) {
  if (path.has_parent_path()) create_folder(path.parent_path());
  if (step == 0 || !std::filesystem::exists(path)) return File::create(path);
  const std::size_t kept = kept_bytes(read_small_file(path), step);
  File file = File::open_to_write(path);
  file.truncate(kept);
  return file;
}

}  // namespace

std::string json_line(const StepMetrics& metrics) {
  Json line;
  line["step"] = metrics.step;
  line["loss"] = number(metrics.loss);
  line["learning_rate"] = number(metrics.learning_rate);
  line["gradient_norm"] = number(metrics.gradient_norm);
  line["loss_scale"] = number(metrics.loss_scale);
  line["skipped"] = metrics.skipped;
  line["tokens_per_second"] = number(metrics.tokens_per_second);
  line["saving_seconds"] = number(metrics.saving_seconds);
  line["peak_bytes"] = by_name(metrics.peak_bytes);
  if (!metrics.host_peak_bytes.empty()) line["host_peak_bytes"] = by_name(metrics.host_peak_bytes);
  line["communicated_bytes"] = by_name(metrics.communicated_bytes);
  return line.dump();
}

std::uint64_t last_step(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return 0;
  constexpr std::uint64_t longest_lines = 1 << 16;  // bytes; a line has some hundreds
  const File file = File::open(path);
  const std::uint64_t size = file.size(), begin = size - std::min(size, longest_lines);
  std::string text(size - begin, '\0');
  file.read(begin, std::as_writable_bytes(std::span{text}));
  for (std::size_t end = text.rfind('\n'); end != text.npos && end != 0; end = text.rfind('\n', end - 1)) {
    const std::size_t before = text.rfind('\n', end - 1), first = before == text.npos ? 0 : before + 1;
    if (const auto step = step_of(std::string_view{text}.substr(first, end - first))) return *step;
  }
  return 0;
}

void MetricsFile::add(const StepMetrics& metrics) {
  if (!file_) {
    file_ = open_behind(path_, step_);
    size_ = file_->size();
  }
  const std::string line = json_line(metrics) + "\n";
  file_->write(size_, std::as_bytes(std::span{line}));
  size_ += line.size();
}

}  // namespace tranche
