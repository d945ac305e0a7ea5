#include "compress/hidden_states.h"

#include "compress/block_names.h"
#include "runtime/autograd/functions.h"
#include "runtime/base/round.h"
#include "runtime/base/settings.h"
#include "runtime/ops/elementwise.h"
#include "runtime/ops/norm.h"
#include "runtime/ops/reduce.h"

namespace tranche::compress {
namespace {

Taps asked_of(const std::vector<HiddenPair>& pairs, std::size_t HiddenPair::*block) {
  Taps taps;
  for (const HiddenPair& pair : pairs) taps[block_name(pair.*block)];
  return taps;
}

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
  section.key("pairs", pairs_)
      .about(
          "Blocks of the student and of its one teacher whose outputs are compared, counted from 0: "
          "`[[0, 1], [1, 3]]`; they must be of one width. Empty: none.");
  section
      .choice<HiddenDistance>("distance", distance, {{"mse", HiddenDistance::mse}, {"cosine", HiddenDistance::cosine}})
      .about("Of a token's two states: the mean of squared differences, or 1 - cosine; the mean over tokens.");
  section.key("weight", weight).above(0.0).about("Of the mean over pairs, which is added to the loss.");
}

void HiddenStatesConfig::complete(const std::string& place, std::size_t layers) {
  const std::string key = "\"distillation.hidden_states.pairs\"";
  const auto block = [&](const Json& each) {
    const std::optional<std::size_t> number = json_as<std::size_t>(each);
    ensure(Exit::job_file, number.has_value(), place, key, " must hold numbers of blocks, found ", json_excerpt(each));
    return *number;
  };
  ensure(Exit::job_file, pairs_.is_array(), place, key, " must be a list of pairs, found ", json_excerpt(pairs_));
  for (const Json& each : pairs_) {
    ensure(Exit::job_file, each.is_array() && each.size() == 2, place, key,
           " must hold pairs of a block of the student and one of the teacher, such as [1, 3], found ",
           json_excerpt(each));
    const HiddenPair pair{block(each[0]), block(each[1])};
    ensure(Exit::job_file, pair.student < layers, place, key, " names block ", pair.student,
           " of the student, which has ", layers, " (counted from 0)");
    pairs.push_back(pair);
  }
}

void HiddenStatesConfig::check(const ModelConfig& student, const ModelConfig& teacher,
                               const std::string& name_of_teacher) const {
  for (const HiddenPair& pair : pairs)
    ensure(Exit::job_file, pair.teacher < teacher.layers, "\"distillation.hidden_states.pairs\" names block ",
           pair.teacher, " of the teacher ", name_of_teacher, ", which has ", teacher.layers, " (counted from 0)");
  ensure(Exit::job_file, pairs.empty() || student.width == teacher.width,
         "\"distillation.hidden_states.pairs\" compares hidden states, but the student's are ", student.width,
         " wide and those of ", name_of_teacher, " ", teacher.width, ": a student of the teacher's width is needed");
}

Taps HiddenStatesConfig::of_student() const { return asked_of(pairs, &HiddenPair::student); }
Taps HiddenStatesConfig::of_teacher() const { return asked_of(pairs, &HiddenPair::teacher); }

Tensor HiddenStatesConfig::added_to(Tensor loss, const Taps& student, const Taps& teacher) const {
  for (const HiddenPair& pair : pairs)
    loss = autograd::add(
        loss, hidden_distance(distance, student.at(block_name(pair.student)), teacher.at(block_name(pair.teacher)),
                              weight / static_cast<double>(pairs.size())));
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
  Tensor loss = student.sibling("distance of hidden states", {1}, DType::float32);
  ops::fill_constant(loss, static_cast<float>(share * ops::add_in_order(student.device(), 0, partials)));
  if (Tape::current() == nullptr || !student.variable()) return loss;

  loss.set_variable(std::make_shared<Variable>());
  Tape::current()->record(
      [result = loss.variable(), into = student.variable(), dtype = student.dtype(), difference, rows, share] {
        const Tensor dloss = result->take();
        if (!dloss) return;
        ops::scale(difference, static_cast<float>(2 * share) * dloss.scalar<float>());
        Tensor gradient = rows.x ? rows.gradient(difference) : difference;
        if (dtype != DType::float32) {
          const Tensor narrow = gradient.sibling("gradient of hidden states", gradient.shape(), dtype);
          ops::convert(gradient, narrow);
          gradient = narrow;
        }
        into->add(gradient);
      });
  return loss;
}

}  // namespace tranche::compress
