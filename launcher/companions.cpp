#include "launcher/companions.h"

#include "compress/block_names.h"
#include "launcher/teacher.h"

namespace tranche {
namespace {

std::unique_ptr<compress::Projections> make_projections(const Job& job) {
  const compress::HiddenStatesConfig& states = job.distillation.hidden_states;
  if (states.pairs.empty() || !states.projection) return nullptr;
  const std::unique_ptr<Job> teacher = teacher_job(job, job.distillation.teachers.front());
  return std::make_unique<compress::Projections>(states, job.model_config.width, teacher->model_config.width);
}

std::unique_ptr<Model> make_peer(const Job& job) {
  std::unique_ptr<Model> peer = job.make_peer();
  if (peer)
    for (Unit& unit : peer->units()) unit.rename(str(compress::beside_the_model, "peer."));
  return peer;
}

}  // namespace

Companions::Companions(const Job& job) : projections(make_projections(job)), peer(make_peer(job)) {}

std::vector<Unit*> Companions::units() const {
  std::vector<Unit*> all;
  if (projections)
    for (Unit& unit : projections->units()) all.push_back(&unit);
  if (peer)
    for (Unit& unit : peer->units()) all.push_back(&unit);
  return all;
}

}  // namespace tranche
