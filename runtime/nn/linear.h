// A linear map of the last dimension.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "runtime/nn/parameter.h"

namespace tranche {

enum class Bias { none, zeros };  // zeros: there is one, and it starts as zero

// Linears whose weight is a product of two, and its rank, by the linear's name ("blocks.0.mlp.up").
using LinearRanks = std::map<std::string, std::size_t>;

class Linear {
 public:
  // "NAME.weight": (out, in), starts normal with this deviation. With a rank r, from 1 to the lesser of in and out, it
  // is the product of "NAME.left.weight", (out, r), and "NAME.right.weight", (r, in), which start so that its deviation
  // is the same. Throws Exit::job_file for another rank.
  Linear(const std::string& name, const Features& in, const Features& out, Bias bias, double deviation,
         const LinearRanks& ranks);

  Tensor forward(const Tensor& x) const;                          // (batch, sequence, in) to (batch, sequence, out)
  Tensor activated(ops::Activation kind, const Tensor& x) const;  // of forward()
  void collect(std::vector<Parameter*>& into);

 private:
  Tensor within(const Tensor& x) const;  // what weight_ multiplies: x, or (batch, sequence, rank)
  Tensor bias() const;                   // or none

  std::size_t rank_;          // 0: whole
  Parameter weight_, right_;  // whole, or the left factor beside the right one
  Parameter bias_;
  Bias has_bias_;
};

}  // namespace tranche
