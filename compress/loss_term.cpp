#include "compress/loss_term.h"

#include "runtime/ops/elementwise.h"

namespace tranche::compress {

bool wants_gradient(const Tensor& student) { return Tape::current() != nullptr && student.variable(); }

Tensor loss_term(Tensor loss, const Tensor& student, std::function<Tensor(float)> gradient) {
  if (!wants_gradient(student)) return loss;
  loss.set_variable(std::make_shared<Variable>());
  Tape::current()->record(
      [result = loss.variable(), into = student.variable(), dtype = student.dtype(), gradient = std::move(gradient)] {
        const Tensor dloss = result->take();
        if (!dloss) return;
        Tensor made = gradient(dloss.scalar<float>());
        if (made.dtype() != dtype) {
          const Tensor narrow = made.sibling("gradient of a term of the loss", made.shape(), dtype);
          ops::convert(made, narrow);
          made = narrow;
        }
        into->add(made);
      });
  return loss;
}

}  // namespace tranche::compress
