#include "runtime/optim/frozen_placement.h"

#include "runtime/ops/elementwise.h"

namespace tranche {

void FrozenPlacement::adopt(const std::vector<Owned>& owned, std::uint64_t) {
  owned_ = &owned;
  for (std::size_t unit = 0; unit < owned.size(); ++unit) give_back(0, unit, borrow(0, unit).span<const float>());
}

Tensor FrozenPlacement::do_borrow(std::size_t kind, std::size_t unit) {
  check(kind == 0, "a frozen model has no moments");
  const Owned& owned = (*owned_)[unit];
  borrowed_ = Tensor::zeros(device_, owned.unit->name() + " as it is loaded", Category::workspace, {1, owned.size},
                            DType::float32);
  return borrowed_.on_host();
}

void FrozenPlacement::do_give_back(std::size_t, std::size_t unit, std::span<const float> loaded) {
  const Owned& owned = (*owned_)[unit];
  const Tensor values = std::exchange(borrowed_, {});
  check(static_cast<bool>(values), owned.unit->name(), ": nothing was borrowed");
  values.assign(std::as_bytes(loaded));
  if (owned.away == nullptr) return ops::convert(values, owned.working);
  const Tensor rounded =
      Tensor::empty(device_, values.name(), Category::workspace, values.shape(), owned.unit->values().dtype());
  ops::convert(values, rounded);
  owned.receive(0, rounded, *copies_).wait();
}

}  // namespace tranche
