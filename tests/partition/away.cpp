// Slices that lie off the device come ahead of their gathers, and go after them.
#include <gtest/gtest.h>

#include "tests/partition/stores.h"

namespace tranche::testing {
namespace {

// Slices somewhere, and what is asked of them.
class RecordedSlices : public SlicePlacement {
 public:
  explicit RecordedSlices(Device& device) : device_(device) {}

  void adopt(const Unit& unit, std::size_t elements, DType dtype) override {
    slices_.push_back(Tensor::empty(device_, unit.name(), Category::workspace, {1, elements}, dtype));
  }
  void fetch(const Unit& unit) override { note("fetch", unit); }
  std::span<const std::byte> fetched(const Unit& unit) override {
    note("gather", unit);
    return slices_[unit.index()].byte_span();
  }
  void evict(const Unit& unit) override { note("evict", unit); }
  Event write(const Unit& unit, std::size_t first, const Tensor& from) override {
    ops::convert(from, slices_[unit.index()].view(first, from.shape()));
    return {};
  }

  std::string told() { return std::exchange(told_, {}); }

 private:
  void note(const char* what, const Unit& unit) { told_ += str(what, " ", unit.index(), ", "); }

  Device& device_;
  std::vector<Tensor> slices_;
  std::string told_;
};

class SlicesAway : public ::testing::Test {
 protected:
  explicit SlicesAway() {
    for (Unit& unit : units_.all) store_.adopt(unit, seams_);
    const std::unique_ptr<CopyStream> copies = device_.copy_stream();
    for (const Owned& owned : store_.owned()) {
      const Tensor values = Tensor::empty(device_, "initial", Category::workspace, {1, owned.size}, DType::float32);
      owned.unit->initialise(store_seed, owned.first, values);
      owned.receive(0, values, *copies).wait();
    }
    store_.publish();
  }

  void visit(std::initializer_list<std::size_t> order) {
    for (const std::size_t u : order) {
      store_.gather(units_[u]);
      const std::vector<std::byte> expected = expected_values(device_, units_[u], DType::float32, 0);
      EXPECT_TRUE(std::ranges::equal(std::span{units_[u].values().data(), expected.size()}, expected)) << u;
      store_.release(units_[u]);
    }
  }

  static ZeroConfig stage3() {
    ZeroConfig config;
    config.stage = 3;
    config.overlap_comm = true;
    return config;
  }

  CpuDevice device_;
  FourUnits units_;
  RecordedSlices slices_{device_};
  std::unique_ptr<Communicator> world_ = alone();
  PartitionedStore store_{stage3(), Precision{DType::float32}, *world_, device_, &slices_};
  SumPlacement sums_;
  LocalSync sync_{sums_};
  WeightTransform weights_;
  ActivationPolicy activations_;
  Seams seams_{store_, sync_, weights_, activations_};
};

TEST_F(SlicesAway, AreFetchedWhenNobodyKnowsTheOrder) {
  visit({2, 0});
  EXPECT_EQ(slices_.told(), "fetch 2, gather 2, evict 2, fetch 0, gather 0, evict 0, ");
}

TEST_F(SlicesAway, AreFetchedAVisitAheadOfTheirGatherOnceTheOrderIsKnown) {
  store_.begin_micro_batch();
  visit({0, 1, 2, 3, 3, 2, 1, 0});
  slices_.told();
  store_.begin_micro_batch();
  visit({0});
  EXPECT_EQ(slices_.told(), "fetch 0, gather 0, fetch 1, gather 1, fetch 2, evict 0, ");
  visit({1});
  EXPECT_EQ(slices_.told(), "gather 2, fetch 3, evict 1, ");
  visit({2, 3, 3, 2, 1, 0});
  slices_.told();
  store_.begin_micro_batch();
  visit({0});
  slices_.told();
  store_.publish();  // what came ahead is old now
  EXPECT_EQ(slices_.told(), "evict 1, evict 2, ");
}

TEST_F(SlicesAway, LeaveNothingOnTheDeviceBetweenMicroBatches) {
  for (int micro = 0; micro < 3; ++micro) {
    store_.begin_micro_batch();
    visit({0, 1, 2, 3, 3, 2, 1, 0});
    EXPECT_EQ(device_.ledger().live(Category::parameters), 0u);
  }
}

}  // namespace
}  // namespace tranche::testing
