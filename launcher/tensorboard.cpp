#include "launcher/tensorboard.h"

#include <array>

namespace tranche {

void TensorBoardConfig::declare(Section& section) {
  section.all_may_change();
  section.key("enabled", enabled)
      .about(
          "Write loss, learning rate, loss scale, gradient norm and tokens per second of each step for TensorBoard.");
  section.key("output_path", output_path)
      .about("Where the folder of the run lies; empty: in the directory in which the program is started.");
  section.key("job_name", job_name).about("The folder's name, which TensorBoard shows as the name of the run.");
}

void TensorBoard::add(const StepMetrics& metrics) {
  const Doing frame{[&] { return str("writing for TensorBoard in ", file_.folder().string(), " (\"tensorboard\")"); }};
  const std::array<std::pair<std::string_view, double>, 5> values{{
      {"Train/Samples/train_loss", metrics.loss},
      {"Train/Samples/lr", metrics.learning_rate},
      {"Train/Samples/loss_scale", metrics.loss_scale},
      {"Train/Samples/gradient_norm", metrics.gradient_norm},
      {"Train/Samples/tokens_per_second", metrics.tokens_per_second},
  }};
  file_.add(static_cast<std::int64_t>(metrics.step * samples_), values);
}

}  // namespace tranche
