// The tests of runtime/ops on an emulated GPU, whose threads run in the order that TRANCHE_THREAD_ORDER names.
#include "tests/runtime/ops/test_device.h"

#include <cstdlib>
#include <iterator>

#include "runtime/base/error.h"
#include "tests/cuda_emulation/emulated_device.h"
#include "tests/cuda_emulation/kernels_under_test.h"
#include "tests/cuda_emulation/launch.h"

namespace tranche::ops {
namespace {

cuda_emulation::Order wanted_order() {
  const char* const wanted = std::getenv("TRANCHE_THREAD_ORDER");
  if (wanted == nullptr) return cuda_emulation::Order::forward;
  for (const cuda_emulation::Order each : cuda_emulation::all_orders)
    if (name_of(each) == wanted) return each;
  fail(Exit::usage, str("TRANCHE_THREAD_ORDER is '", wanted, "': expected forward, reverse or random"));
}

}  // namespace

// What a GPU has in place of a number of threads: the order in which they run.
std::unique_ptr<Device> make_test_device(std::size_t threads) {
  use_cuda_kernels(kernels_under_test());
  const std::size_t others = threads == 0 ? 0 : threads - 1, orders = std::size(cuda_emulation::all_orders);
  cuda_emulation::use_order(cuda_emulation::all_orders[(static_cast<std::size_t>(wanted_order()) + others) % orders]);
  return std::make_unique<cuda_emulation::EmulatedDevice>();
}

void on_every_test_device(const std::function<void(Device&, const std::string&)>& work) {
  for (const cuda_emulation::Order order : cuda_emulation::all_orders) {
    const std::unique_ptr<Device> device = make_test_device(0);
    cuda_emulation::use_order(order);
    work(*device, str("threads in ", name_of(order), " order"));
  }
  cuda_emulation::use_order(wanted_order());
}

}  // namespace tranche::ops
