#include "compress/attention_relations.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "compress/block_names.h"
#include "compress/loss_term.h"
#include "runtime/autograd/functions.h"
#include "runtime/base/settings.h"
#include "runtime/ops/distillation.h"
#include "runtime/ops/elementwise.h"
#include "runtime/ops/embedding.h"
#include "runtime/ops/linear.h"

namespace tranche::compress {
namespace {

const std::string qkv = ".attention.qkv";
constexpr std::size_t tile = 128;  // tokens whose relations are computed together

// One part of a fused projection, head by head. Its rows are gathered from the projection's as those of a table are, in
// pieces that divide all columns.
class HeadRows {
 public:
  HeadRows(const FusedProjection& from, Projected part, std::size_t heads)
      : qkv_(from.qkv), heads_(heads), sequence_(from.qkv.shape()[1]) {
    const std::size_t all = qkv_.cols(), keys = all / (from.shared + 2), queries = all - 2 * keys;
    const std::size_t width = part == Projected::queries ? queries : keys;
    const std::size_t first = part == Projected::queries ? 0 : part == Projected::keys ? queries : queries + keys;
    tranche::check(keys * (from.shared + 2) == all && width % heads == 0, "attention relations: ", heads, " heads of ",
                   width, " columns, of ", all, " in all");
    width_ = width / heads;
    piece_ = std::gcd(std::gcd(all, first), width_);
    std::vector<std::int32_t> pieces;
    for (std::size_t head = 0; head < heads; ++head)
      for (std::size_t token = 0; token < sequence_; ++token)
        for (std::size_t i = 0; i < width_ / piece_; ++i)
          pieces.push_back(static_cast<std::int32_t>((token * all + first + head * width_) / piece_ + i));
    pieces_ = qkv_.sibling("places of heads", {pieces.size()}, DType::int32);
    pieces_.assign(std::as_bytes(std::span{pieces}));
  }

  // (heads * sequence, width) float32
  Tensor of_sample(std::size_t sample) const {
    const Tensor narrow = qkv_.sibling("rows of heads", {pieces_.size(), piece_}, qkv_.dtype());
    ops::embedding(pieces_, table(qkv_, sample), narrow);
    const Tensor wide = empty_rows("rows of heads");
    ops::store(narrow, {wide, false});
    return wide;
  }
  Tensor empty_rows(const char* name) const { return qkv_.sibling(name, {heads_ * sequence_, width_}, DType::float32); }
  // gradient: as of_sample; into: as qkv, float32, whose other columns become zero, or keep what they hold.
  void scatter(const Tensor& gradient, std::size_t sample, const Tensor& into, bool holds_values) const {
    ops::embedding_gradient(pieces_, gradient.reshaped({pieces_.size(), piece_}), {table(into, sample), holds_values});
  }

 private:
  Tensor table(const Tensor& all, std::size_t sample) const {
    const std::size_t size = sequence_ * all.cols();
    return all.view(sample * size, {size / piece_, piece_});
  }

  Tensor qkv_, pieces_;
  std::size_t heads_, sequence_, width_ = 0, piece_ = 0;
};

// Divergences of tiles, and their gradients.
class Tiles {
 public:
  Tiles(const Tensor& like, std::size_t sequence, std::size_t count)
      : rows_(std::min(tile, sequence)),
        student_(like.sibling("relations of the student", {rows_, sequence}, DType::float32)),
        teacher_(like.sibling("relations of the teacher", {rows_, sequence}, DType::float32)),
        statistics_(like.sibling("statistics of relations", {rows_, 4}, DType::float32)),
        targets_(like.sibling("no targets", {rows_}, DType::int32)),
        seed_(like.sibling("share of a tile", {1}, DType::float32)),
        losses_(like.sibling("divergences of tiles", {count}, DType::float32)) {
    targets_.fill_zero();
  }

  // One head of one sample, of which each token counts `share`.  student, teacher: (sequence, width); gradient: as
  // student, added to, or none
  void add(const Tensor& student, const Tensor& teacher, double share, const Tensor& gradient) {
    for (std::size_t first = 0; first < student.rows(); first += rows_) {
      const std::size_t rows = std::min(rows_, student.rows() - first);
      const Tensor of_student = relations(student, first, rows, student_),
                   of_teacher = relations(teacher, first, rows, teacher_), targets = targets_.view(0, {rows}),
                   statistics = statistics_.view(0, {rows, 4});
      ops::distillation(of_student, of_teacher, targets, terms, losses_.view(shares_.size(), {1}), statistics);
      shares_.push_back(share * static_cast<double>(rows));
      if (!gradient) continue;
      ops::fill_constant(seed_, static_cast<float>(shares_.back()));
      ops::distillation_gradient(seed_, of_student, of_teacher, targets, terms, statistics, {of_student, false});
      ops::scale(of_student, scale_of(student));
      const Shape part{rows, student.cols()};
      ops::linear_input_gradient(of_student, student, {gradient.view(first * student.cols(), part), true});
      ops::linear_weight_gradient(of_student, student.view(first * student.cols(), part), {gradient, true});
    }
  }
  // In the order of tiles, in double.
  float loss() const {
    std::vector<float> losses(shares_.size());
    losses_.device().read(losses_.data(), std::as_writable_bytes(std::span{losses}));
    double sum = 0;
    for (std::size_t i = 0; i < losses.size(); ++i) sum += shares_[i] * double{losses[i]};
    return static_cast<float>(sum);
  }

 private:
  static constexpr ops::DistillationTerms terms{.alpha = 1, .temperature = 1, .divergence = ops::Divergence::forward};

  static float scale_of(const Tensor& x) { return 1 / std::sqrt(static_cast<float>(x.cols())); }
  // Of tokens first .. first + rows to all.
  static Tensor relations(const Tensor& x, std::size_t first, std::size_t rows, const Tensor& room) {
    const Tensor y = room.view(0, {rows, x.rows()});
    ops::linear(x.view(first * x.cols(), {rows, x.cols()}), x, {}, y);
    ops::scale(y, scale_of(x));
    return y;
  }

  std::size_t rows_;
  Tensor student_, teacher_, statistics_, targets_, seed_, losses_;
  std::vector<double> shares_;  // by tile
};

}  // namespace

void AttentionRelationsConfig::declare(Section& section) {
  pairs.declare(section,
                "relations among the queries, keys and values of their attention are compared. Widths and "
                "heads may differ.");
  section.key("of", of_).about("Which of these: a list of `\"queries\"`, `\"keys\"`, `\"values\"`.");
  section.key("heads", heads)
      .about(
          "Into how many parts the columns of each are divided, in student and teacher alike; it must divide them. 0: "
          "as many as the student's attention has heads.");
  section.key("weight", weight).above(0.0).about("Of the mean over pairs and over `of`, which is added to the loss.");
}

void AttentionRelationsConfig::complete(const std::string& place) {
  const std::vector<std::pair<std::string, Projected>> words{
      {"queries", Projected::queries}, {"keys", Projected::keys}, {"values", Projected::values}};
  const auto refuse = [&](bool refused) {
    ensure(Exit::job_file, !refused, place,
           "\"distillation.attention.of\" must be a list of \"queries\", \"keys\" and \"values\", each once, found ",
           json_excerpt(of_));
  };
  refuse(!of_.is_array() || of_.empty());
  of.clear();
  for (const Json& each : of_) {
    const auto word = std::ranges::find_if(words, [&](const auto& known) { return each == known.first; });
    refuse(word == words.end() || std::ranges::find(of, word->second) != of.end());
    of.push_back(word->second);
  }
}

void AttentionRelationsConfig::check(const ModelConfig& student, const ModelConfig& teacher,
                                     const std::string& name_of_teacher) const {
  pairs.check(teacher, name_of_teacher);
  const std::size_t parts = heads_for(student);
  const auto check_block = [&](const ModelConfig& model, std::size_t block, const std::string& whose) {
    const std::size_t groups = left_of(model.left, block_name(block) + ".attention.heads", model.groups);
    const std::size_t keys = groups * model.head_width;  // and queries are a multiple of them
    ensure(Exit::job_file, keys % parts == 0, "\"distillation.attention.heads\" is ", parts,
           ", which does not divide the ", keys, " columns that keys and values have in block ", block, " of ", whose,
           ": name a number that divides those "
           "of student and teacher");
  };
  for (const BlockPair& pair : pairs.all) {
    check_block(student, pair.student, "the student");
    check_block(teacher, pair.teacher, "the teacher " + name_of_teacher);
  }
}

void AttentionRelationsConfig::ask_student(Taps& taps) const { pairs.ask_student(taps, qkv); }
void AttentionRelationsConfig::ask_teacher(Taps& taps) const { pairs.ask_teacher(taps, qkv); }

Tensor AttentionRelationsConfig::added_to(Tensor loss, const ModelConfig& student, const Taps& of_student,
                                          const ModelConfig* teacher, const Taps& of_teacher) const {
  const auto projection = [](const ModelConfig& model, const Taps& taps, std::size_t block) {
    return FusedProjection{taps.at(block_name(block) + qkv), model.heads / model.groups};
  };
  const double share = weight / static_cast<double>(pairs.all.size());
  for (const BlockPair& pair : pairs.all)
    loss = autograd::add(
        loss, attention_relations(of, heads_for(student), share, projection(student, of_student, pair.student),
                                  projection(*teacher, of_teacher, pair.teacher)));
  return loss;
}

Tensor attention_relations(const std::vector<Projected>& of, std::size_t heads, double factor,
                           const FusedProjection& student, const FusedProjection& teacher) {
  const Shape shape = student.qkv.shape();
  tranche::check(shape.dimensions() == 3 && teacher.qkv.shape().dimensions() == 3 &&
                     shape[0] == teacher.qkv.shape()[0] && shape[1] == teacher.qkv.shape()[1],
                 "attention relations: the student's projections have shape ", shape, ", the teacher's ",
                 teacher.qkv.shape());
  const std::size_t batch = shape[0], sequence = shape[1], count = of.size() * batch * heads;
  const Tensor gradient = wants_gradient(student.qkv)
                              ? student.qkv.sibling("gradient of attention relations", shape, DType::float32)
                              : Tensor{};
  Tiles tiles{student.qkv, sequence, count * ((sequence + tile - 1) / tile)};
  bool holds_values = false;
  for (const Projected part : of) {
    const HeadRows of_student{student, part, heads}, of_teacher{teacher, part, heads};
    for (std::size_t sample = 0; sample < batch; ++sample) {
      const Tensor s = of_student.of_sample(sample), t = of_teacher.of_sample(sample);
      const Tensor ds = gradient ? of_student.empty_rows("gradient of heads").fill_zero() : Tensor{};
      for (std::size_t head = 0; head < heads; ++head) {
        const auto of_head = [&](const Tensor& rows) {
          return rows ? rows.view(head * sequence * rows.cols(), {sequence, rows.cols()}) : rows;
        };
        tiles.add(of_head(s), of_head(t), factor / static_cast<double>(count * sequence), of_head(ds));
      }
      if (gradient) of_student.scatter(ds, sample, gradient, holds_values);
    }
    holds_values = true;
  }
  const Tensor loss = student.qkv.sibling("divergence of attention relations", {1}, DType::float32);
  ops::fill_constant(loss, tiles.loss());
  return loss_term(loss, student.qkv, [gradient](float dloss) {
    ops::scale(gradient, dloss);
    return gradient;
  });
}

}  // namespace tranche::compress
