#include "compress/hidden_states.h"

#include "compress/block_names.h"
#include "compress/loss_term.h"
#include "compress/projections.h"
#include "runtime/autograd/functions.h"
#include "runtime/base/round.h"
#include "runtime/base/settings.h"
#include "runtime/ops/elementwise.h"
#include "runtime/ops/norm.h"
#include "runtime/ops/reduce.h"

namespace tranche::compress {
namespace {

Tensor in_float32(const Tensor& x) {
  const Tensor y = x.sibling("hidden states in float32", x.shape(), DType::float32);
  ops::store(x, {y, false});
  return y;
}

// x / root mean square of each row: the mean over columns of the squared difference of two such rows is 2 - 2 cosine.
struct UnitRows {
  Tensor x, gain, statistics;

  static UnitRows of(const Tensor& rows, const Tensor& y) {
    const Tensor x = in_float32(rows);
    UnitRows made{.x = x,
                  .gain = x.sibling("ones", {x.cols()}, DType::float32),
                  .statistics = x.sibling("root mean squares", {x.rows()}, DType::float32)};
    ops::fill_constant(made.gain, 1);
    ops::rms_norm(x, made.gain, 1e-12f, y, made.statistics);
    return made;
  }
  Tensor gradient(const Tensor& dy) const {
    const Tensor dx = x.sibling("gradient of hidden states", x.shape(), DType::float32);
    ops::rms_norm_input_gradient(dy, x, gain, statistics, {dx, false});
    return dx;
  }
};

}  // namespace

void HiddenStatesConfig::declare(Section& section) {
  pairs.declare(section, "their outputs are compared.");
  section
      .choice<HiddenDistance>("distance", distance, {{"mse", HiddenDistance::mse}, {"cosine", HiddenDistance::cosine}})
      .about("Of a token's two states: the mean of squared differences, or 1 - cosine; the mean over tokens.");
  section.key("weight", weight).above(0.0).about("Of the mean over pairs, which is added to the loss.");
  section.key("projection", projection)
      .about(
          "Whether the student's states go through a linear first, one for each pair, which is trained with the "
          "student "
          "and not part of its model. Without, student and teacher must be of one width.");
}

void HiddenStatesConfig::check(const ModelConfig& student, const ModelConfig& teacher,
                               const std::string& name_of_teacher) const {
  pairs.check(teacher, name_of_teacher);
  ensure(Exit::job_file, pairs.empty() || projection || student.width == teacher.width,
         "\"distillation.hidden_states.pairs\" compares hidden states, but the student's are ", student.width,
         " wide and those of ", name_of_teacher, " ", teacher.width,
         ": set \"distillation.hidden_states.projection\" to true, or give the student the teacher's width");
}

Tensor HiddenStatesConfig::added_to(Tensor loss, const Taps& student, const Taps& teacher,
                                    Projections* projections) const {
  const double share = weight / static_cast<double>(pairs.all.size());
  for (std::size_t i = 0; i < pairs.all.size(); ++i) {
    const Tensor& states = student.at(block_name(pairs.all[i].student));
    loss =
        autograd::add(loss, hidden_distance(distance, projections != nullptr ? projections->project(i, states) : states,
                                            teacher.at(block_name(pairs.all[i].teacher)), share));
  }
  return loss;
}

Tensor hidden_distance(HiddenDistance distance, const Tensor& student, const Tensor& teacher, double factor) {
  tranche::check(student.shape() == teacher.shape(), "hidden states: the student's have shape ", student.shape(),
                 ", the teacher's ", teacher.shape());
  const std::size_t size = student.size(), padding = padded(size, ops::block) - size;
  const Tensor flat = student.sibling("difference of hidden states", {1, size + padding}, DType::float32);
  const Tensor difference = flat.view(0, student.shape());
  flat.view(size, {padding}).fill_zero();
  UnitRows rows;
  double share = factor / static_cast<double>(size);
  if (distance == HiddenDistance::cosine) {
    share /= 2;
    UnitRows::of(teacher, difference);
    const Tensor y = difference.sibling("hidden states of unit length", student.shape(), DType::float32);
    rows = UnitRows::of(student, y);
    ops::scale(difference, -1);
    ops::store(y, {difference, true});
  } else {
    ops::store(teacher, {difference, false});
    ops::scale(difference, -1);
    ops::store(student, {difference, true});
  }

  std::vector<double> partials(flat.size() / ops::block);
  ops::scale_and_sum_squares(flat, 1, partials);
  const Tensor loss = student.sibling("distance of hidden states", {1}, DType::float32);
  ops::fill_constant(loss, static_cast<float>(share * ops::add_in_order(student.device(), 0, partials)));
  return loss_term(loss, student, [difference, rows, share](float dloss) {
    ops::scale(difference, static_cast<float>(2 * share) * dloss);
    return rows.x ? rows.gradient(difference) : difference;
  });
}

}  // namespace tranche::compress
