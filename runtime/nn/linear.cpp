#include "runtime/nn/linear.h"

#include <algorithm>
#include <cmath>

#include "runtime/base/error.h"

namespace tranche {
namespace {

std::size_t rank_of(const std::string& name, std::size_t in, std::size_t out, const LinearRanks& ranks) {
  const auto found = ranks.find(name);
  if (found == ranks.end()) return 0;
  ensure(Exit::job_file, found->second >= 1 && found->second <= std::min(in, out), "\"low_rank\": the rank of ", name,
         " is ", found->second, ", expected one from 1 to ", std::min(in, out));
  return found->second;
}

// Of an entry of a factor: a sum of `rank` products has the deviation of the whole.
double factor_deviation(double deviation, std::size_t rank) {
  return std::sqrt(deviation / std::sqrt(static_cast<double>(rank)));
}

Features factors_of(const std::string& name, std::size_t rank) {
  return {FeatureKind::factors, name + ".factors", rank};
}

Parameter weight_of(const std::string& name, const Features& rows, const Features& cols, double deviation) {
  return {
      name + ".weight", {rows.entries(), cols.entries()}, Initial::normal(static_cast<float>(deviation)), {rows, cols}};
}

}  // namespace

Linear::Linear(const std::string& name, const Features& in, const Features& out, Bias bias, double deviation,
               const LinearRanks& ranks)
    : rank_(rank_of(name, in.entries(), out.entries(), ranks)),
      weight_(rank_ == 0 ? weight_of(name, out, in, deviation)
                         : weight_of(name + ".left", out, factors_of(name, rank_), factor_deviation(deviation, rank_))),
      right_(rank_ == 0 ? Parameter{}
                        : weight_of(name + ".right", factors_of(name, rank_), in, factor_deviation(deviation, rank_))),
      bias_{name + ".bias", {out.entries()}, Initial::zeros(), {out}},
      has_bias_(bias) {}

Tensor Linear::within(const Tensor& x) const { return rank_ == 0 ? x : right_.multiplied(x); }
Tensor Linear::bias() const { return has_bias_ == Bias::zeros ? bias_.tensor() : Tensor{}; }

Tensor Linear::forward(const Tensor& x) const {
  const Tensor between = within(x);
  return weight_.multiplied(between, bias());
}

Tensor Linear::activated(ops::Activation kind, const Tensor& x) const {
  const Tensor between = within(x);
  return weight_.activated(kind, between, bias());
}

void Linear::collect(std::vector<Parameter*>& into) {
  into.push_back(&weight_);
  if (rank_ != 0) into.push_back(&right_);
  if (has_bias_ == Bias::zeros) into.push_back(&bias_);
}

}  // namespace tranche
