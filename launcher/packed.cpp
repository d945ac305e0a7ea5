#include "launcher/packed.h"

#include "launcher/ranks.h"

namespace tranche {

bool is_packed(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error);
}

OpenedPacked open_packed(const std::filesystem::path& path, Session& session) {
  OpenedPacked opened;
  together(session.control(), "packed model", [&] {
    opened.file = std::make_unique<compress::PackedFile>(path);
    opened.job = std::make_unique<Job>(stored_job(opened.file->description().job, path.string(), {}));
    opened.job->settle(session.ranks());
  });
  return opened;
}

PackedReplica::PackedReplica(const Job& job, const compress::PackedFile& file, Device& device)
    : model_(job.make_model()),
      parameters_(file, device),
      seams_{parameters_, no_gradients_, weights_, activations_, parameters_} {
  for (Unit& unit : model_->units()) parameters_.adopt(unit, seams_);
  parameters_.check_all_used();
}

}  // namespace tranche
