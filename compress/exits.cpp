#include "compress/exits.h"

#include <algorithm>

#include "compress/block_names.h"
#include "compress/loss_term.h"
#include "runtime/autograd/functions.h"
#include "runtime/base/settings.h"
#include "runtime/ops/elementwise.h"

namespace tranche::compress {
namespace {

// factor times x, (1) float32.
Tensor scaled(const Tensor& x, float factor) {
  const auto times = [factor](const Tensor& like, float value) {
    const Tensor y = like.sibling("share of the loss", {1}, DType::float32);
    ops::fill_constant(y, factor * value);
    return y;
  };
  return loss_term(times(x, x.scalar<float>()), x,
                   [times, like = x.detached()](float dloss) { return times(like, dloss); });
}

}  // namespace

void ExitsConfig::declare(Section& section) {
  section.key("blocks", blocks_)
      .about(
          "Blocks behind which the model's own last logits teach what its head makes of the stream, counted from 0: "
          "`[3, 7]`; not the last one. Empty: none.");
  section.key("weight", weight)
      .above(0.0)
      .about("Of the mean over exits of what `alpha`, `temperature` and `divergence` say, which is added to the loss.");
}

void ExitsConfig::complete(const std::string& place, std::size_t layers) {
  const std::string key = "\"distillation.exits.blocks\"";
  ensure(Exit::job_file, blocks_.is_array(), place, key, " must be a list of blocks, found ", json_excerpt(blocks_));
  for (const Json& each : blocks_) {
    const std::optional<std::size_t> block = json_as<std::size_t>(each);
    ensure(Exit::job_file, block.has_value(), place, key, " must hold numbers of blocks, found ", json_excerpt(each));
    ensure(Exit::job_file, *block + 1 < layers, place, key, " names block ", *block, " of a model of ", layers,
           " blocks, counted from 0: an exit is before the last one, behind which the model's own is");
    ensure(Exit::job_file, std::ranges::find(blocks, *block) == blocks.end(), place, key, " names block ", *block,
           " twice");
    blocks.push_back(*block);
  }
}

Taps Exits::taps() const {
  Taps taps = inner_.taps();
  for (const std::size_t block : config_.blocks) taps[block_name(block)];
  return taps;
}

Tensor Exits::loss(const Tensor& logits, const Taps& taps, const MicroBatch& micro) const {
  // Backward comes here first: what `inner` leaves of the logits then is still to be read.
  Tensor loss = inner_.loss(logits, taps, micro);
  const auto share = static_cast<float>(config_.weight / static_cast<double>(config_.blocks.size()));
  for (const std::size_t block : config_.blocks) {
    const Tensor exit = forward(model_.units().back(), autograd::passed_on(taps.at(block_name(block))));
    loss = autograd::add(loss, scaled(autograd::distillation(exit, logits.detached(), micro.targets, terms_), share));
  }
  return loss;
}

}  // namespace tranche::compress
