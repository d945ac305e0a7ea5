#include "compress/logit_source.h"

#include <algorithm>

#include "runtime/base/trace.h"
#include "runtime/ops/elementwise.h"

namespace tranche::compress {

Tensor TeachingModels::logits(const MicroBatch& micro, Taps& taps) const {
  const Doing frame{[] { return std::string{"computing the teacher's logits"}; }};
  const Recording pause{nullptr};
  Tensor sum;
  for (const TeachingModel& teacher : teachers_) {
    const Evaluating evaluating{teacher.model};
    teacher.parameters.begin_micro_batch();
    const Tensor logits = teacher.model.forward(micro.tokens, taps);
    if (teachers_.size() == 1) return logits;
    const bool first = !sum;
    if (first) sum = logits.sibling("sum of teachers' logits", logits.shape(), DType::float32);
    ops::store(logits, {sum, !first});
  }
  ops::scale(sum, 1 / static_cast<float>(teachers_.size()));
  return sum;
}

Tensor StoredTeacher::logits(const MicroBatch& micro, Taps& /*taps*/) const {
  const Doing frame{[] { return std::string{"reading the teacher's logits"}; }};
  const trace::Span span{trace::Kind::disk, "read the teacher's logits"};
  const std::size_t sequence = micro.tokens.cols(), classes = stored_.origin().classes;
  const Tensor all = micro.tokens.sibling("stored logits", {micro.tokens.rows(), sequence, classes}, DType::float32);
  // Some rows at a time: a few hundred KiB of them.
  const std::size_t at_once = std::clamp<std::size_t>((1u << 17) / classes, 1, sequence);
  std::vector<float> rows(at_once * classes);
  for (std::size_t i = 0; i < micro.samples.size(); ++i) {
    const StoredLogits::Sample sample = stored_.read(micro.samples[i]);
    for (std::size_t first = 0; first < sequence; first += at_once) {
      const std::size_t count = std::min(at_once, sequence - first);
      for (std::size_t row = 0; row < count; ++row)
        sample.row(first + row, std::span{rows}.subspan(row * classes, classes));
      const Tensor part = all.view((i * sequence + first) * classes, {count, classes});
      part.assign(std::as_bytes(std::span{rows}.first(count * classes)));
    }
  }
  return all;
}

}  // namespace tranche::compress
