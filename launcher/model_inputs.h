// What the linears of an opened model see of a token file, for commands that make it small by that.
#pragma once

#include <string>

#include "compress/input_scaling.h"
#include "compress/second_order.h"
#include "launcher/opened_model.h"

namespace tranche {

// On one rank.
class ModelInputs {
 public:
  // data: a token file; empty: what the model was trained on. samples: how many from the file's start; 0: all. linears:
  // those of the model. model and linears must outlive it. Throws Exit::data for a file of another vocabulary.
  ModelInputs(OpenedModel& model, compress::WatchedLinears& linears, const std::string& data, std::size_t samples)
      : model_(model),
        linears_(linears),
        job_(*model.opened.job),
        file_(data.empty() ? job_.data.train : data),
        windows_{file_, job_.batch.micro_batch_size, job_.data.sequence_length, samples} {
    check_vocabulary(file_, job_.model_config);
  }
  ModelInputs(const ModelInputs&) = delete;
  ModelInputs& operator=(const ModelInputs&) = delete;

  compress::InputProducts products() {
    return compress::input_products(model_.replica.model(), linears_, windows_, *model_.world, *model_.device);
  }
  compress::InputMagnitudes magnitudes() {
    return compress::input_magnitudes(model_.replica.model(), linears_, windows_, *model_.world, *model_.device);
  }
  compress::InputRanges ranges(compress::RangeMethod method) {
    return compress::calibrate(model_.replica.model(), linears_, windows_, method, *model_.world, *model_.device);
  }

 private:
  OpenedModel& model_;
  compress::WatchedLinears& linears_;
  const Job& job_;
  TokenFile file_;
  compress::Windows windows_;
};

}  // namespace tranche
