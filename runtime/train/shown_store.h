// A parameter store that shows what it gathers.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "runtime/nn/seams.h"

namespace tranche {

// All that `store` does; besides, whoever is told sees a unit's values when they have been gathered for a visit.
class ShownStore : public ParameterStore {
 public:
  explicit ShownStore(std::unique_ptr<ParameterStore> store) : store_(std::move(store)) {}

  using Shown = std::function<void(Unit&)>;
  void when_gathered(Shown tell) { shown_ = std::move(tell); }

  void adopt(Unit& unit, const Seams& seams) override { store_->adopt(unit, seams); }
  void begin_micro_batch() override { store_->begin_micro_batch(); }
  void gather(Unit& unit) override {
    store_->gather(unit);
    shown_(unit);
  }
  void release(Unit& unit) override { store_->release(unit); }
  const std::vector<Owned>& owned() const override { return store_->owned(); }
  void begin_publish(Unit& unit) override { store_->begin_publish(unit); }
  void publish() override { store_->publish(); }

 private:
  std::unique_ptr<ParameterStore> store_;
  Shown shown_ = [](Unit&) {};
};

}  // namespace tranche
