// Scaling of inputs before rounding (AWQ: Lin et al. 2023). A weight's columns are multiplied by factors, the larger
// the larger their inputs are, and so lose less by rounding; what comes before divides those inputs by the same
// factors, so that the model computes what it did and its packed file reads as any other.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "compress/quantize_weights.h"
#include "compress/second_order.h"

namespace tranche::compress {

// Channels whose factors can be taken back: entries first .. first + count along the first dimension of each `writer`
// (a norm's gain and bias, rows of a linear and its bias) make channel c, which columns of the `readers` multiply.
struct Scalable {
  struct Writer {
    std::string name;
    std::size_t first = 0;
  };
  std::vector<Writer> writers{};
  std::vector<std::string> readers{};   // weights; all have as many columns
  std::vector<std::size_t> channels{};  // of each column
  std::size_t count = 0;                // of channels
};

// Of each block of a model: what reads norm1 and norm2, what reads the values of attention, and `down` of a gated
// feed-forward layer, in front of which `up` enters a product. Between `up` and `down` of a plain one lies an
// activation, and what the head reads is often tied to the embedding: these are not scaled, nor what lies between the
// two factors of a linear.
std::vector<Scalable> scalables_of(const std::deque<Unit>& units);

// Of each linear's inputs, by the name of its weight: the mean magnitude over the tokens of these windows, in double
// precision, token by token in the order of the file. As input_products.
using InputMagnitudes = std::map<std::string, std::vector<double>>;
InputMagnitudes input_magnitudes(Model& model, WatchedLinears& linears, const Windows& windows, Communicator& alone,
                                 Device& device);

// What rounding loses of a linear's outputs: the sum over tokens and outputs of ((rounded - values) x)^2, where x x^T
// sums to products.  rounded, values: (rows, in)
double output_error(std::span<const float> rounded, std::span<const float> values, std::size_t in,
                    const std::vector<double>& products);

// One that scaling has to do with.
struct Reader {
  std::string name;
  Shape shape;
  std::span<const float> values;
  const std::vector<double>& products;  // of its inputs
  Plan plan;
};
// Factors of one Scalable's channels: (mean magnitude)^alpha, divided by the root of their least times their greatest;
// of alpha = 0, 1/20 ... 19/20 those with the least sum of output errors of the readers, the first of equals. With
// alpha = 0 all are 1, so that the readers do not lose more than by rounding to nearest. magnitudes: of each channel
std::vector<float> best_factors(const Scalable& scalable, const std::vector<Reader>& readers,
                                const std::vector<double>& magnitudes);

// A model's values with the factors in them: a UnitReader.
class ScaledValues {
 public:
  // group: as quantize_model's. units must outlive it, as what values_of reads. Throws what rounding throws.
  ScaledValues(const std::deque<Unit>& units, UnitReader values_of, const InputProducts& products,
               const InputMagnitudes& magnitudes, Scheme scheme, std::size_t group);

  UnitValues operator()(const Unit& unit) const;

 private:
  void choose(const Scalable& scalable, const InputProducts& products, const InputMagnitudes& magnitudes, Scheme scheme,
              std::size_t group);

  struct Found {
    const Unit* unit;
    const Parameter* parameter;
  };
  UnitReader values_of_;
  std::map<std::string, Found> found_;
  std::map<std::string, std::vector<float>> columns_, rows_;  // factors of a parameter's columns; divisors of its rows
};

}  // namespace tranche::compress
