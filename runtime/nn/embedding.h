// A table of vectors, looked up by number; tied, also the projection back to the vocabulary (Press, Wolf 2017).
#pragma once

#include <string>
#include <vector>

#include "runtime/nn/parameter.h"

namespace tranche {

class Embedding {
 public:
  // weight: (rows, width), starts normal with this deviation.
  Embedding(const std::string& name, const Features& rows, std::size_t width, double deviation);

  Tensor forward(const Tensor& numbers) const;  // (batch, sequence) int32 to (batch, sequence, width)
  Tensor project(const Tensor& x) const;        // (batch, sequence, width) to (batch, sequence, rows): x weight^T
  void collect(std::vector<Parameter*>& into) { into.push_back(&weight_); }

 private:
  Parameter weight_;
};

// 0 .. sequence - 1 for every row of the batch, behind the tokens that a KeyValueCache holds.  tokens, result: (batch,
// sequence) int32
Tensor position_numbers(const Tensor& tokens);

}  // namespace tranche
