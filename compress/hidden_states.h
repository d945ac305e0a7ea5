// What a student's blocks give, beside what chosen blocks of its teacher give: a term of the loss of distillation.
#pragma once

#include <cstdint>
#include <string>

#include "compress/block_pairs.h"

namespace tranche {

class Section;

namespace compress {

class Projections;

// For each token, of hidden states s and t of one width; the mean over tokens.
enum class HiddenDistance : std::uint8_t {
  mse,     // mean of (s - t)^2
  cosine,  // 1 - s t / (|s| |t|), blind to length
};

// What a job file says in "distillation.hidden_states".
struct HiddenStatesConfig {
  BlockPairs pairs{};
  HiddenDistance distance = HiddenDistance::mse;
  double weight = 1;        // of the mean over pairs
  bool projection = false;  // whether the student's states go through a learned linear first

  void declare(Section& hidden_states);
  // Throws Exit::job_file if this teacher has not the blocks, or they are of another width than the student's and no
  // projection is wanted.
  void check(const ModelConfig& student, const ModelConfig& teacher, const std::string& name_of_teacher) const;

  // loss + weight times the mean over pairs; both taps filled. On the tape; no gradient reaches the teacher.
  // projections: of this configuration; null where it wants none. Collective where they are.
  Tensor added_to(Tensor loss, const Taps& student, const Taps& teacher, Projections* projections) const;
};

// factor times the distance, (1) float32; computed in float32, squares summed in double by blocks of 1,024 elements in
// their order. student, teacher: (..., width) of one shape, of any floating dtypes. The cosine's squared lengths are
// width times (mean of squares + 1e-12). The gradient reaches the student alone, rounded once to its dtype.
Tensor hidden_distance(HiddenDistance distance, const Tensor& student, const Tensor& teacher, double factor);

}  // namespace compress
}  // namespace tranche
