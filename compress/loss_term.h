// A term of the loss whose gradient to a student's values was computed with it, or follows from what was.
#pragma once

#include <functional>

#include "runtime/autograd/tape.h"

namespace tranche::compress {

// loss, (1) float32, as a function of `student`: gradient(dloss) is to student, of its shape, of its dtype or float32,
// which is rounded once to its dtype. It is called at most once.
Tensor loss_term(Tensor loss, const Tensor& student, std::function<Tensor(float)> gradient);
// Whether loss_term will ask for a gradient.
bool wants_gradient(const Tensor& student);

}  // namespace tranche::compress
