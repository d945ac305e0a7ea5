// Who says what a student's logits should be: teachers that compute, or a file of what they said.
#pragma once

#include <vector>

#include "compress/stored_logits.h"
#include "runtime/models/model.h"
#include "runtime/train/seams.h"

namespace tranche::compress {

class LogitSource {
 public:
  virtual ~LogitSource() = default;
  // (batch, sequence, vocabulary), of a floating dtype; fills taps. Nothing records. Collective where teachers are
  // divided.
  virtual Tensor logits(const MicroBatch& micro, Taps& taps) const = 0;
};

// One who teaches; what it names outlives it.
struct TeachingModel {
  Model& model;
  ParameterStore& parameters;
};

// Without dropout, one after another; of several, the mean of their logits, summed in float32 in their order.
class TeachingModels : public LogitSource {
 public:
  // At least one, of one vocabulary; one where taps are asked for.
  explicit TeachingModels(std::vector<TeachingModel> teachers) : teachers_(std::move(teachers)) {}
  Tensor logits(const MicroBatch& micro, Taps& taps) const override;

 private:
  std::vector<TeachingModel> teachers_;
};

// What teachers said of the same samples, in float32. It has no taps.
class StoredTeacher : public LogitSource {
 public:
  explicit StoredTeacher(const StoredLogits& stored) : stored_(stored) {}  // which outlives it
  Tensor logits(const MicroBatch& micro, Taps& taps) const override;

 private:
  const StoredLogits& stored_;
};

}  // namespace tranche::compress
