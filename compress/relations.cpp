#include "compress/relations.h"

#include <cmath>
#include <vector>

#include "compress/block_names.h"
#include "compress/loss_term.h"
#include "runtime/autograd/functions.h"
#include "runtime/base/settings.h"
#include "runtime/ops/elementwise.h"
#include "runtime/ops/linear.h"

namespace tranche::compress {
namespace {

// (rows, cols) in double.
struct Matrix {
  std::size_t rows, cols;
  std::vector<double> values;

  Matrix(std::size_t of_rows, std::size_t of_cols) : rows(of_rows), cols(of_cols), values(of_rows * of_cols) {}
  double& operator()(std::size_t row, std::size_t col) { return values[row * cols + col]; }
  double operator()(std::size_t row, std::size_t col) const { return values[row * cols + col]; }
};

// Each example's mean over tokens.  hidden: (examples, sequence, width)
Matrix means_over_tokens(const Tensor& hidden) {
  const std::size_t examples = hidden.shape()[0], sequence = hidden.shape()[1], width = hidden.cols();
  const Tensor sums = hidden.sibling("sums of hidden states", {examples, width}, DType::float32);
  for (std::size_t i = 0; i < examples; ++i) {
    const Tensor narrow = hidden.view(i * sequence * width, {sequence, width});
    const Tensor wide = narrow.sibling("hidden states of one example", narrow.shape(), DType::float32);
    ops::store(narrow, {wide, false});
    ops::linear_bias_gradient(wide, {sums.view(i * width, {width}), false});
  }
  std::vector<float> read(sums.size());
  sums.device().read(sums.data(), std::as_writable_bytes(std::span{read}));
  Matrix means{examples, width};
  for (std::size_t i = 0; i < read.size(); ++i) means.values[i] = double{read[i]} / static_cast<double>(sequence);
  return means;
}

// What both relations are of.
struct Geometry {
  Matrix products;  // x_i . x_j
  Matrix lengths;   // |x_i - x_j|

  explicit Geometry(const Matrix& x) : products(x.rows, x.rows), lengths(x.rows, x.rows) {
    for (std::size_t i = 0; i < x.rows; ++i)
      for (std::size_t j = 0; j < x.rows; ++j)
        for (std::size_t c = 0; c < x.cols; ++c) products(i, j) += x(i, c) * x(j, c);
    for (std::size_t i = 0; i < x.rows; ++i)
      for (std::size_t j = 0; j < x.rows; ++j) {
        const double square = products(i, i) + products(j, j) - 2 * products(i, j);
        lengths(i, j) = square < 0 ? 0 : std::sqrt(square);
      }
  }
  std::size_t examples() const { return products.rows; }
  double mean_length() const {
    double sum = 0;
    for (const double each : lengths.values) sum += each;
    return sum / static_cast<double>(examples() * (examples() - 1));
  }
  // At x_j, of the lines to x_i and x_k.
  double cosine(std::size_t i, std::size_t j, std::size_t k) const {
    const double lengths_of_both = lengths(i, j) * lengths(k, j);
    if (lengths_of_both == 0) return 0;
    return (products(i, k) - products(i, j) - products(j, k) + products(j, j)) / lengths_of_both;
  }
};

double huber(double a) { return std::fabs(a) <= 1 ? a * a / 2 : std::fabs(a) - 0.5; }
double huber_slope(double a) { return std::fabs(a) <= 1 ? a : std::copysign(1, a); }

// The loss, and `slope`, which times the student's x is the loss's gradient to x.
struct Related {
  double loss = 0;
  Matrix slope;

  explicit Related(std::size_t examples) : slope(examples, examples) {}

  void add_distances(double weight, const Geometry& student, const Geometry& teacher) {
    const std::size_t n = student.examples();
    const double mean = student.mean_length(), mean_of_teacher = teacher.mean_length();
    const double pairs = static_cast<double>(n * (n - 1)), share = weight / pairs;
    Matrix slopes{n, n};  // to psi
    double through_mean = 0;
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) {
        if (i == j) continue;
        const double psi = mean == 0 ? 0 : student.lengths(i, j) / mean;
        const double taught = mean_of_teacher == 0 ? 0 : teacher.lengths(i, j) / mean_of_teacher;
        loss += share * huber(psi - taught);
        slopes(i, j) = share * huber_slope(psi - taught);
        through_mean += slopes(i, j) * psi / pairs;
      }
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j)
        if (student.lengths(i, j) != 0) pull(i, j, (slopes(i, j) - through_mean) / mean / student.lengths(i, j));
  }

  void add_angles(double weight, const Geometry& student, const Geometry& teacher) {
    const std::size_t n = student.examples();
    const double share = weight / static_cast<double>(n * (n - 1) * (n - 2));
    for (std::size_t j = 0; j < n; ++j)
      for (std::size_t i = 0; i < n; ++i)
        for (std::size_t k = 0; k < n; ++k) {
          if (i == j || j == k || i == k) continue;
          const double cosine = student.cosine(i, j, k), apart = cosine - teacher.cosine(i, j, k);
          loss += share * huber(apart);
          const double to_i = student.lengths(i, j), to_k = student.lengths(k, j);
          if (to_i * to_k == 0) continue;
          // Of u = x_i - x_j and v = x_k - x_j: v / (|u| |v|) - cosine u / |u|^2, and the same with u and v exchanged.
          const double slope_of_cosine = share * huber_slope(apart), across = slope_of_cosine / (to_i * to_k);
          add_line(i, j, k, across);
          add_line(i, j, i, -slope_of_cosine * cosine / (to_i * to_i));
          add_line(k, j, i, across);
          add_line(k, j, k, -slope_of_cosine * cosine / (to_k * to_k));
        }
  }

 private:
  // The gradient to x_i - x_j has factor (x_k - x_j).
  void add_line(std::size_t i, std::size_t j, std::size_t k, double factor) {
    slope(i, k) += factor;
    slope(i, j) -= factor;
    slope(j, k) -= factor;
    slope(j, j) += factor;
  }
  void pull(std::size_t i, std::size_t j, double factor) { add_line(i, j, i, factor); }
};

// Of the mean over tokens to each token, in float32.
std::vector<float> gradient_of_tokens(const Related& related, const Matrix& x, std::size_t sequence) {
  std::vector<float> gradient;
  for (std::size_t i = 0; i < x.rows; ++i)
    for (std::size_t c = 0; c < x.cols; ++c) {
      double sum = 0;
      for (std::size_t j = 0; j < x.rows; ++j) sum += related.slope(i, j) * x(j, c);
      gradient.push_back(static_cast<float>(sum / static_cast<double>(sequence)));
    }
  return gradient;
}

// Each row as often as an example has tokens.  rows: (examples, width); returns (examples, sequence, width)
Tensor for_each_token(const Tensor& rows, const Shape& shape) {
  const std::size_t sequence = shape[1], width = shape[2];
  const Tensor all = rows.sibling("gradient of hidden states", shape, rows.dtype());
  const Tensor ones = rows.sibling("ones", {sequence, 1}, rows.dtype());
  ops::fill_constant(ones, 1);
  for (std::size_t i = 0; i < shape[0]; ++i)
    ops::linear_input_gradient(ones, rows.view(i * width, {1, width}),
                               {all.view(i * sequence * width, {sequence, width}), false});
  return all;
}

}  // namespace

void RelationsConfig::declare(Section& section) {
  pairs.declare(section,
                "how the samples of a micro-batch lie to each other there, each as its mean over tokens, is compared. "
                "Widths may differ.");
  section.key("distance", distance)
      .at_least(0.0)
      .about("Weight of distances between two samples, as parts of their mean (Park et al. 2019).");
  section.key("angle", angle).at_least(0.0).about("Weight of the angles that three samples make, by their cosines.");
}

void RelationsConfig::complete(const std::string& place) const {
  ensure(Exit::job_file, pairs.empty() || distance > 0 || angle > 0, place, pairs.key(),
         " names blocks whose relations are compared, but \"distance\" and \"angle\" beside it are 0: give one of "
         "them a weight");
}

void RelationsConfig::check(const ModelConfig& teacher, const std::string& name_of_teacher,
                            std::size_t micro_batch_size) const {
  pairs.check(teacher, name_of_teacher);
  ensure(Exit::job_file, pairs.empty() || micro_batch_size > 2, pairs.key(),
         " compares how the samples of a micro-batch lie to each other, which takes three of them: "
         "\"train_micro_batch_size_per_gpu\" is ",
         micro_batch_size);
}

Tensor RelationsConfig::added_to(Tensor loss, const Taps& student, const Taps& teacher) const {
  const auto share = static_cast<double>(pairs.all.size());
  for (const BlockPair& pair : pairs.all)
    loss =
        autograd::add(loss, relational_distance({distance / share, angle / share}, student.at(block_name(pair.student)),
                                                teacher.at(block_name(pair.teacher))));
  return loss;
}

Tensor relational_distance(const RelationTerms& terms, const Tensor& student, const Tensor& teacher) {
  const Shape shape = student.shape();
  tranche::check(shape.dimensions() == 3 && teacher.shape().dimensions() == 3 && shape[0] == teacher.shape()[0] &&
                     shape[1] == teacher.shape()[1],
                 "relations: the student's hidden states have shape ", shape, ", the teacher's ", teacher.shape());
  tranche::check(shape[0] > 2, "relations: ", shape[0], " examples");
  const Matrix x = means_over_tokens(student);
  const Geometry of_student{x}, of_teacher{means_over_tokens(teacher)};
  Related related{shape[0]};
  if (terms.distance > 0) related.add_distances(terms.distance, of_student, of_teacher);
  if (terms.angle > 0) related.add_angles(terms.angle, of_student, of_teacher);

  const Tensor loss = student.sibling("distance of relations", {1}, DType::float32);
  ops::fill_constant(loss, static_cast<float>(related.loss));
  if (!wants_gradient(student)) return loss;
  const Tensor gradient = student.sibling("gradient of relations", {shape[0], shape[2]}, DType::float32);
  const std::vector<float> values = gradient_of_tokens(related, x, shape[1]);
  gradient.assign(std::as_bytes(std::span{values}));
  return loss_term(loss, student, [gradient, shape, dtype = student.dtype()](float dloss) {
    ops::scale(gradient, dloss);
    const Tensor narrow = gradient.sibling("gradient of relations", gradient.shape(), dtype);
    ops::convert(gradient, narrow);
    return for_each_token(narrow, shape);
  });
}

}  // namespace tranche::compress
