#include "runtime/data/config.h"

#include "runtime/base/settings.h"

namespace tranche {

void DataConfig::declare(Section& data) {
  data.key("train", train).required().may_change().about("Token file to train on, made by `tranche tokenize`.");
  data.key("validation", validation).may_change().about("Token file that `tranche evaluate` measures the loss on.");
  data.key("sequence_length", sequence_length)
      .required()
      .at_least(1)
      .about("Tokens of one sample; at most the model's positions.");
}

}  // namespace tranche
