// A model's parameters out of a packed file: integer weights stay integers, zeros that are not stored stay away, and
// linears multiply them as such.
#pragma once

#include <map>

#include "compress/packed_file.h"
#include "runtime/nn/seams.h"
#include "runtime/ops/sign_linear.h"
#include "runtime/ops/sparse_linear.h"

namespace tranche::compress {

// Holds the whole model on this rank, for evaluation and generation: there are no gradients. It is both where the
// parameters lie and how they are multiplied:
//
//   PackedParameters parameters{file, device};
//   const Seams seams{parameters, gradients, weights, activations, parameters};
//   for (Unit& unit : model.units()) parameters.adopt(unit, seams);
//   parameters.check_all_used();
class PackedParameters : public ParameterStore, public LinearForm {
 public:
  PackedParameters(const PackedFile& file, Device& device);  // both must outlive it

  // Throws Exit::checkpoint if the file lacks one of the unit's parameters, or has another shape for it.
  void adopt(Unit& unit, const Seams& seams) override;
  // Throws Exit::checkpoint if the file has tensors that no adopted unit has.
  void check_all_used() const;
  void gather(Unit&) override {}
  void release(Unit&) override {}
  const std::vector<Owned>& owned() const override { return owned_; }  // nothing to update
  void publish() override {}

  Tensor multiply(const Tensor& x, const Parameter& weight, const Tensor& bias) const override;
  Tensor rows(const Tensor& numbers, const Parameter& table) const override;

 private:
  Tensor numbers_of(const PackedTensor& tensor, Category category) const;
  ops::PackedWeight integers_of(const PackedTensor& tensor) const;
  ops::SignRows signs_of(const PackedTensor& tensor) const;

  const PackedFile& file_;
  Device& device_;
  std::map<std::string, std::size_t> index_;  // of tensors that are still to be adopted
  struct Packed {
    ops::PackedWeight weight;
    std::optional<ScaleAndZero> input;
  };
  std::map<const Parameter*, Packed> packed_;
  std::map<const Parameter*, ops::SignRows> signs_;
  std::map<const Parameter*, ops::SparseWeight> sparse_;
  std::vector<Owned> owned_;
  std::size_t units_ = 0;
};

}  // namespace tranche::compress
