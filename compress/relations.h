// How the examples of a micro-batch lie to each other in a student's hidden states, beside how they lie in its
// teacher's (relational knowledge distillation: Park, Kim, Lu, Cho 2019): a term of the loss of distillation. Widths of
// the two may differ.
#pragma once

#include <string>

#include "compress/block_pairs.h"

namespace tranche::compress {

// What a job file says in "distillation.relations".
struct RelationsConfig {
  BlockPairs pairs{};
  double distance = 1, angle = 2;  // weights of the means over pairs of blocks; 0: that relation does not count

  void declare(Section& relations);
  // Throws Exit::job_file where neither relation counts; `place` begins the message.
  void complete(const std::string& place) const;
  // Throws Exit::job_file if this teacher has not the blocks, or a micro-batch too few samples.
  void check(const ModelConfig& teacher, const std::string& name_of_teacher, std::size_t micro_batch_size) const;
  // loss + the weighted mean over pairs; both taps filled. On the tape; no gradient reaches the teacher.
  Tensor added_to(Tensor loss, const Taps& student, const Taps& teacher) const;
};

// Weights of the two terms.
struct RelationTerms {
  double distance = 0, angle = 0;
};

// distance times the mean over ordered pairs of examples (i, j) of huber(psi_student - psi_teacher), psi = |x_i - x_j|
// / its mean over pairs (equation 4; 0 where all examples are equal), and angle times the mean over triples (i, j, k)
// of three different ones of huber(cos_student - cos_teacher), the cosine at x_j of the lines to x_i and x_k (equation
// 6; 0 where one of these is of length 0). huber(a) = a^2 / 2 up to |a| = 1, |a| - 1/2 beyond. An example is a sample
// of the micro-batch, x its mean over tokens; so relations stay within a micro-batch. Returns (1) float32. Means over
// tokens are sums in float32 in the order of tokens; all else is in double, in one order, on the host. student:
// (examples, sequence, width), teacher: (examples, sequence, its width), of any floating dtypes; at least three
// examples. The gradient reaches the student alone, rounded once to its dtype.
Tensor relational_distance(const RelationTerms& terms, const Tensor& student, const Tensor& teacher);

}  // namespace tranche::compress
