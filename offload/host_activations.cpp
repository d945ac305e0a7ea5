#include "offload/host_activations.h"

#include "offload/disk.h"
#include "runtime/base/round.h"
#include "runtime/base/trace.h"

namespace tranche {

// After a failure something may be under way, which uses the bytes.
HostActivations::Input::~Input() {
  for (const Event* event : {&left, &back, &written, &read}) wait_quietly(*event);
}

HostActivations::HostActivations(Device& device, Device& host)
    : host_(host), device_(device), copies_(device.copy_stream()) {}

Tensor HostActivations::run(const Forward& forward, const Tensor& x) const {
  if (x.dtype() == DType::int32) return recomputed(x, forward);  // tokens, which the batch keeps anyway
  return recomputed(x, forward, [this](const Tensor& input) { return keep(input); });
}

std::shared_ptr<HostActivations::Input> HostActivations::from_last(std::size_t back) const {
  return inputs_.size() > back ? inputs_[inputs_.size() - 1 - back].lock() : nullptr;
}

void HostActivations::forget_the_gone() const {
  while (!inputs_.empty() && inputs_.back().expired()) inputs_.pop_back();
}

Kept HostActivations::keep(const Tensor& x) const {
  forget_the_gone();
  if (const auto last = from_last(0)) {
    const trace::Span span{trace::Kind::wait, "wait for an input to leave"};
    last->left.wait();
    last->here = {};
    rest(*last);
  }
  if (const auto before = from_last(1)) settle(*before);

  const auto input = std::make_shared<Input>();
  input->depth = inputs_.size();
  input->bytes = x.bytes();
  input->shape = x.shape();
  input->dtype = x.dtype();
  input->here = x.detached();
  const std::size_t elements = padded(x.bytes(), SwapFile::alignment) / bytes_of(x.dtype());
  input->on_host = Tensor::empty(host_, x.name() + ", kept", Category::activations, {1, elements}, x.dtype());
  input->left = copies_->copy(x.byte_span(), input->on_host.byte_span().first(input->bytes));
  inputs_.push_back(input);
  return [this, input] { return bring_back(input); };
}

Tensor HostActivations::bring_back(const std::shared_ptr<Input>& input) const {
  forget_the_gone();
  check(from_last(0) == input, "inputs come back in another order than they left");
  inputs_.pop_back();
  if (!input->here) send_back(*input);
  {
    const trace::Span span{trace::Kind::wait, "wait for an input to come back"};
    input->left.wait();
    input->back.wait();
  }
  input->on_host = {};
  if (const auto next = from_last(0)) send_back(*next);
  if (const auto then = from_last(1)) call(*then);
  return std::exchange(input->here, {});
}

void HostActivations::send_back(Input& input) const {
  if (input.here) return;
  await(input);
  input.here = Tensor::empty(device_, "an input, back", Category::activations, input.shape, input.dtype);
  input.back = copies_->copy(input.on_host.byte_span().first(input.bytes), input.here.byte_span());
}

}  // namespace tranche
