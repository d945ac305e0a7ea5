#include "launcher/http/metrics_tail.h"

#include <algorithm>
#include <optional>
#include <span>

#include "runtime/base/error.h"
#include "runtime/base/file.h"

namespace tranche {
namespace {

constexpr std::uint64_t most_at_once = std::uint64_t{8} << 20;

// "" where the file ends before that.
std::string bytes_at(const File& file, std::uint64_t begin, std::uint64_t count) {
  std::string text(count, '\0');
  if (begin + count > file.size()) return {};
  file.read(begin, std::as_writable_bytes(std::span{text}));
  return text;
}

}  // namespace

MetricsTail::News MetricsTail::poll() {
  News news;
  if (!std::filesystem::exists(path_)) return news;
  try {
    const File file = File::open(path_);
    if (!last_.empty() && bytes_at(file, next_ - last_.size(), last_.size()) != last_) {
      next_ = 0;
      last_.clear();
      news.reset = true;
    }
    const std::uint64_t size = file.size();
    bool whole = true;  // whether a line begins at next_
    if (last_.empty() && size > history_) {
      next_ = size - history_;
      whole = false;
    }
    const std::string text = bytes_at(file, next_, std::min(size - next_, most_at_once));
    std::size_t begin = 0;
    for (std::size_t end; (end = text.find('\n', begin)) != text.npos; begin = end + 1) {
      if (std::exchange(whole, true)) news.lines.push_back(text.substr(begin, end - begin));
      last_ = text.substr(begin, end + 1 - begin);
    }
    next_ += begin;
  } catch (const Error&) {  // it was cut while it was read: the next look finds its new end
  }
  return news;
}

}  // namespace tranche
