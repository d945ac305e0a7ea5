// One rank's parameter store and gradient sum that write down what they are asked, and take values away when they may.
#pragma once

#include <string>
#include <vector>

#include "runtime/device/cpu/cpu_device.h"
#include "runtime/nn/seams.h"

namespace tranche::testing {

// Values are there during visits only, as at stage 3: they are kept aside in between.
class RecordedStore : public ParameterStore {
 public:
  RecordedStore(Device& device, std::vector<std::string>& events) : device_(device), events_(events) {}

  void adopt(Unit& unit, const Seams& seams) override {
    const Shape flat{1, unit.size() + 3};  // with some padding
    const Tensor whole = Tensor::empty(device_, unit.name() + " whole", Category::optimizer, flat, DType::float32);
    unit.initialise(1, 0, whole);
    const auto storage =
        std::make_shared<Storage>(device_, unit.name(), Category::parameters, flat.size(), DType::float32);
    unit.place(owned_.size(), Tensor{storage, 0, flat}, seams);
    owned_.push_back({&unit, 0, whole.size(), whole});
  }
  void gather(Unit& unit) override {
    events_.push_back("gather " + unit.name());
    unit.values().storage().allocate();
    const std::span<const std::byte> whole = owned_[unit.index()].working.byte_span();
    std::copy(whole.begin(), whole.end(), unit.values().data());
  }
  void release(Unit& unit) override {
    events_.push_back("release " + unit.name());
    unit.values().storage().discard();
  }
  const std::vector<Owned>& owned() const override { return owned_; }
  void publish() override {}

 private:
  Device& device_;
  std::vector<std::string>& events_;
  std::vector<Owned> owned_;
};

class RecordedSync : public LocalSync {
 public:
  explicit RecordedSync(std::vector<std::string>& events) : LocalSync(on_device()), events_(events) {}
  void reduce(Unit& unit, Tensor gradient) override {
    events_.push_back("reduce " + unit.name());
    if (gradient) LocalSync::reduce(unit, std::move(gradient));
  }

 private:
  static SumPlacement& on_device() {
    static SumPlacement place;
    return place;
  }

  std::vector<std::string>& events_;
};

}  // namespace tranche::testing
