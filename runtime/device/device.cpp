#include "runtime/device/device.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "runtime/base/error.h"
#include "runtime/device/side_stream.h"

namespace tranche {
namespace {
std::string_view what_may_help(Tier tier) {
  if (tier == Tier::host)
    return "more ranks, a higher zero_optimization.stage, a smaller zero_optimization.offload_optimizer.ratio, or a "
           "larger device.host_memory.";
  return "more ranks, a higher zero_optimization.stage, zero_optimization.offload_optimizer, activation checkpointing, "
         "a smaller train_micro_batch_size_per_gpu, or a larger device.memory.";
}

// Where a thread's work is done when its call returns, every order is kept.
class OnTheCallingThread : public SideStream {
 public:
  Place here() override { return {}; }
  void run(const Place&, const std::function<void()>& work) override { work(); }
  Place give(const Place&, const std::function<void()>& work) override {
    work();
    return {};
  }
  void come_after(const Place&) override {}
};
}  // namespace

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this == &other) return *this;
  reset();
  device_ = std::exchange(other.device_, nullptr);
  data_ = std::exchange(other.data_, nullptr);
  bytes_ = std::exchange(other.bytes_, 0);
  line_ = std::exchange(other.line_, std::nullopt);
  return *this;
}

void Buffer::reset() {
  if (device_ == nullptr) return;
  if (bytes_ != 0) device_->free_bytes(data_, bytes_);
  device_->ledger_.remove(*line_);
  device_ = nullptr;
  data_ = nullptr;
  bytes_ = 0;
  line_.reset();
}

std::string_view name_of(Tier tier) {
  constexpr std::string_view names[] = {"device", "host", "disk"};
  return names[static_cast<std::size_t>(tier)];
}

Buffer Device::allocate(std::size_t bytes, Category category, std::string_view owner) {
  // The report is made only when it is needed: every tensor of every step comes by here.
  if (bytes > capacity_ || ledger_.live() > capacity_ - bytes)
    fail(Exit::out_of_memory,
         str("out of memory: ", owner, " needs ", in_units(bytes), " for ", name_of(category), ", and ",
             in_units(ledger_.live()), " of the ", name_of(tier_), "'s ", in_units(capacity_), " are in use.\n",
             ledger_.report(), "\n  What may help: ", what_may_help(tier_)));
  std::byte* data = bytes == 0 ? nullptr : allocate_bytes(bytes, category);
  if (bytes != 0 && data == nullptr)
    fail(Exit::out_of_memory,
         str("out of memory: the machine has no ", in_units(bytes), " more for ", owner, ".\n", ledger_.report()));
  Buffer buffer;
  buffer.device_ = this;
  buffer.data_ = data;
  buffer.bytes_ = bytes;
  buffer.line_ = ledger_.add(category, bytes, owner);
  return buffer;
}

std::unique_ptr<SideStream> Device::side_stream() { return std::make_unique<OnTheCallingThread>(); }

void Device::fill_zero(std::byte* data, std::size_t bytes) { std::memset(data, 0, bytes); }

void Device::read(const std::byte* data, std::span<std::byte> into) const {
  std::copy_n(data, into.size(), into.begin());
}

void Device::write(std::byte* data, std::span<const std::byte> from) { std::ranges::copy(from, data); }

}  // namespace tranche
