#include "offload/host_sums.h"

#include <algorithm>

#include "runtime/base/trace.h"
#include "runtime/ops/elementwise.h"

namespace tranche {
namespace {
constexpr std::size_t piece = std::size_t{1} << 20;  // elements: 4 MiB of float32
}

HostSums::HostSums(Device& device, Device& host, DType dtype, OnHost on_host)
    : host_(host), on_host_(std::move(on_host)), copies_(device.copy_stream()), beside_(device.side_stream()) {
  for (Tensor& half : arriving_)
    half = Tensor::empty(host, "arriving gradient", Category::communication, {1, piece}, dtype);
}

Device& HostSums::home(const Unit& unit, Device& computes) { return on_host_(unit) ? host_ : computes; }

void HostSums::add(std::span<const std::byte> from, DType dtype, const Tensor& sum) {
  if (&sum.device() != &host_) return SumPlacement::add(from, dtype, sum);
  const trace::Span span{trace::Kind::copy, "add on the host", sum.name(), from.size()};
  check(dtype == arriving_[0].dtype(), "a gradient of ", name_of(dtype), " where ", name_of(arriving_[0].dtype()),
        " was to come");
  const auto count_at = [&](std::size_t first) { return std::min(piece, sum.size() - first); };
  const auto bring = [&](std::size_t first, const Tensor& to) {
    const std::size_t bytes = count_at(first) * bytes_of(dtype);
    return copies_->copy(from.subspan(first * bytes_of(dtype), bytes), to.byte_span().first(bytes));
  };
  Event here = bring(0, arriving_[0]);
  for (std::size_t first = 0, turn = 0; first < sum.size(); first += piece, turn = 1 - turn) {
    here.wait();
    if (first + piece < sum.size()) here = bring(first + piece, arriving_[1 - turn]);
    const std::size_t count = count_at(first);
    ops::store(arriving_[turn].view(0, {1, count}), {sum.view(first, {1, count}), true});
  }
}

Event HostSums::add(const Tensor& gradient, const Tensor& sum) {
  if (&sum.device() != &host_) return SumPlacement::add(gradient, sum);
  return adds_.run([this, place = beside_->here(), from = gradient.byte_span(), dtype = gradient.dtype(), sum] {
    beside_->run(place, [&] { add(from, dtype, sum); });
  });
}

}  // namespace tranche
