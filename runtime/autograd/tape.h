// Define-by-run differentiation: functions leave nodes on a tape; backward runs them newest first and frees each one.
//
// One tape belongs to one thread. Nothing here knows of units, ranks or precision policies.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "runtime/ops/destination.h"
#include "runtime/tensor/tensor.h"

namespace tranche {

// Where the gradient of one tensor gathers. A parameter's is bound: it is a view into its unit's flat gradient, and
// contributions are written there directly. Others share the first contribution's bytes and copy only when they must.
struct Variable {
  // Adds a finished gradient, in the order of the tape, rounded to its dtype.
  void add(const Tensor& contribution);

  // Where an op may write (or add) its contribution itself. For a free variable that is a new activation shaped as
  // `like`; call commit with it afterwards.
  ops::Destination destination(const Tensor& like);
  void commit(const ops::Destination& written);

  // The gradient so far, empty if none came; the variable lets go of it.
  Tensor take();

  void bind(Tensor view);  // to a parameter's place in the flat gradient, which holds nothing yet
  void unbind();
  bool bound() const { return bound_; }
  bool received() const { return received_; }  // a contribution has come

 private:
  Tensor gradient_;
  bool bound_ = false, received_ = false, shared_ = false;
};

class Tape {
 public:
  using Node = std::function<void()>;

  Tape();
  ~Tape();  // nodes that never ran go newest first
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  static Tape* current();  // of this thread; null: nothing is recorded
  void record(Node node) { nodes_.push_back(std::move(node)); }

  // gradient: of output's shape. Runs every node; what a node saved dies with it, before the next one runs.
  void backward(const Tensor& output, const Tensor& gradient);

 private:
  std::vector<Node> nodes_;
};

// Makes a tape the thread's current one for a scope; null pauses recording.
class Recording {
 public:
  explicit Recording(Tape* tape);
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

 private:
  Tape* before_;
};

using Forward = std::function<Tensor(const Tensor&)>;

// y = forward(x), keeping x alone (Chen et al. 2016). Its one node runs forward again on a tape of its own when
// backward comes by. forward must be a pure function of x and of parameters: then running it again gives the same bits.
Tensor recomputed(const Tensor& x, Forward forward);

// The same where x may go meanwhile: `keep` is given it before forward runs, and the result gives it back in backward,
// once. Neither is called when nothing is recorded.
using Kept = std::function<Tensor()>;
Tensor recomputed(const Tensor& x, Forward forward, const std::function<Kept(const Tensor&)>& keep);

}  // namespace tranche
