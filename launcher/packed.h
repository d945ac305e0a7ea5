// A packed model, ready to evaluate and to generate with.
#pragma once

#include <filesystem>
#include <memory>

#include "compress/packed_parameters.h"
#include "launcher/session.h"

namespace tranche {

// Whether a path that the user gave is one: a file, where a checkpoint is a folder.
bool is_packed(const std::filesystem::path& path);

// A packed file, and the job that trained its model.
struct OpenedPacked {
  std::unique_ptr<compress::PackedFile> file;
  std::unique_ptr<Job> job;
};
// Collective; every rank reads all of it.
OpenedPacked open_packed(const std::filesystem::path& path, Session& session);

// Each rank holds the whole. Stays where it is made.
class PackedReplica {
 public:
  PackedReplica(const Job& job, const compress::PackedFile& file, Device& device);  // all must outlive it
  PackedReplica(const PackedReplica&) = delete;
  PackedReplica& operator=(const PackedReplica&) = delete;

  Model& model() { return *model_; }

 private:
  std::unique_ptr<Model> model_;
  compress::PackedParameters parameters_;
  SumPlacement sums_;
  LocalSync no_gradients_{sums_};
  WeightTransform weights_;
  ActivationPolicy activations_;
  Seams seams_;
};

}  // namespace tranche
