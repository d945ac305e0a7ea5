// A model that one rank holds whole, ready to run: for tests.
#pragma once

#include <memory>

#include "runtime/autograd/functions.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/models/model.h"
#include "runtime/nn/seams.h"
#include "runtime/optim/placement.h"

namespace tranche::testing {

inline std::unique_ptr<Model> model_from(const std::string& text, std::uint64_t seed = 1) {
  Source source;
  source.file = "config.json";
  const Json config = parse_json(text, source.file, Exit::job_file, &source.lines);
  return make_model(config, source, "", seed);
}

struct Placed {
  CpuDevice device;
  std::unique_ptr<Model> model;
  ResidentStore store;
  ResidentPlacement placement;
  SumPlacement sums;
  LocalSync sync{sums};
  WeightTransform weights;
  ActivationPolicy keep;
  RecomputeActivations recompute;
  Seams seams;

  explicit Placed(const std::string& config, DType working = DType::float32, bool recomputing = false,
                  std::uint64_t seed = 1, std::size_t threads = 2)
      : device(threads),
        model(model_from(config, seed)),
        store(device, Precision{working}, 1024),
        placement(Precision{working}),
        seams{store, sync, weights, recomputing ? static_cast<const ActivationPolicy&>(recompute) : keep} {
    for (Unit& unit : model->units()) store.adopt(unit, seams);
    placement.adopt(store.owned(), seed);
  }

  Tensor tokens(const std::vector<std::vector<std::int32_t>>& rows) {  // (batch, sequence)
    const Tensor all =
        Tensor::empty(device, "tokens", Category::activations, {rows.size(), rows[0].size()}, DType::int32);
    for (std::size_t i = 0; i < all.size(); ++i) all.span<std::int32_t>()[i] = rows[i / all.cols()][i % all.cols()];
    return all;
  }
  Tensor scalar(float value) {
    const Tensor one = Tensor::empty(device, "scale", Category::activations, {1}, DType::float32);
    one.span<float>()[0] = value;
    return one;
  }
  // Forward and backward of one micro-batch; the loss's gradient is `scale`. Logits' bytes are overwritten by backward.
  float accumulate(const Tensor& inputs, const Tensor& targets, float scale = 1) {
    Tape tape;
    Tensor loss;
    {
      const Recording on{&tape};
      loss = autograd::cross_entropy(model->forward(inputs), targets);
    }
    tape.backward(loss, scalar(scale));
    return loss.span<float>()[0];
  }
  // Calls visit(parameter, its part of a flat tensor of the unit) for every parameter.
  template <class Visit> void for_each(Visit visit) {
    for (const Owned& owned : store.owned())
      for (const Parameter* parameter : owned.unit->parameters()) visit(owned, *parameter);
  }
};

inline std::vector<float> floats(const Tensor& x) {
  const Tensor as_float = Tensor::empty(x.device(), "floats", Category::activations, x.shape(), DType::float32);
  for (std::size_t i = 0; i < x.size(); ++i)
    as_float.span<float>()[i] = x.dtype() == DType::float32    ? x.span<float>()[i]
                                : x.dtype() == DType::bfloat16 ? to_float(x.span<bfloat16>()[i])
                                                               : to_float(x.span<float16>()[i]);
  return {as_float.span<float>().begin(), as_float.span<float>().end()};
}

}  // namespace tranche::testing
