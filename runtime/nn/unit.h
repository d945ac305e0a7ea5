// The units that gather parameters, and the visit that a forward call pays to a unit.
//
//   tape, as forward leaves it:   [open] op op op ... op [close]
//   backward reads right to left: [close] gathers again; the ops give gradients; [open] reduces and releases.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "runtime/autograd/tape.h"
#include "runtime/nn/parameter.h"

namespace tranche {

struct Seams;

// The parameters that are gathered together, one after another in a flat layout. Another unit may lease them.
class Unit {
 public:
  // parameters: in the order of the flat layout; they and `forward` must outlive the unit. leased: units whose
  // parameters forward also uses (a tied weight).
  Unit(std::string name, std::vector<Parameter*> parameters, Forward forward, std::vector<Unit*> leased = {});
  Unit(const Unit&) = delete;
  Unit& operator=(const Unit&) = delete;

  // Puts `prefix` before its name and those of its parameters; before it is placed, and before they have initial
  // values.
  void rename(const std::string& prefix);
  // One more parameter, behind the others; before the unit is placed.
  void join(Parameter& parameter);
  // Lays the parameters into `values`, which may be longer: its owner pads.  values: (1, flat), allocated or not
  void place(std::size_t index, const Tensor& values, const Seams& seams);
  // Initial values of elements first .. first + elements.size() of the flat layout; padding is zero. elements: float32.
  // A function of seed, names and element numbers alone, so no rank ever needs the whole.
  void initialise(std::uint64_t seed, std::size_t first, const Tensor& elements) const;

  std::size_t size() const { return size_; }    // elements, without padding
  std::size_t index() const { return index_; }  // among the model's units
  const std::string& name() const { return name_; }
  const std::vector<Parameter*>& parameters() const { return parameters_; }
  const Tensor& values() const { return values_; }  // (1, flat)

 private:
  friend class Visit;
  friend struct Parameter;
  friend Tensor forward(Unit& unit, const Tensor& x);

  void lay(Parameter& parameter);
  void open_gradient();
  Tensor take_gradient();  // (1, flat): what this micro-batch gave; empty if nothing was opened

  std::string name_;
  std::vector<Parameter*> parameters_;
  Forward forward_;
  std::vector<Unit*> leased_;
  const Seams* seams_ = nullptr;
  std::size_t size_ = 0, index_ = 0;
  Tensor values_;
  Tensor gradient_;   // absent outside backward
  int visitors_ = 0;  // visits that need the values now: the first gathers, the last releases
  int awaited_ = 0;   // visits whose gradient is still to come: the last reduces
};

// forward(x) of the unit's layers, between the two nodes above. Collective where the parameter store is.
Tensor forward(Unit& unit, const Tensor& x);

}  // namespace tranche
