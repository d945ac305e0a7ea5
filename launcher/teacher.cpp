#include "launcher/teacher.h"

#include "runtime/base/log.h"
#include "runtime/optim/frozen_placement.h"

namespace tranche {
namespace {

std::string text_of(bool value) { return value ? "true" : "false"; }

}  // namespace

std::unique_ptr<Job> teacher_job(const Job& student, const std::string& directory) {
  const compress::DistillationConfig& distillation = student.distillation;
  const Doing frame{[&] { return "reading the teacher " + directory; }};
  const std::filesystem::path folder = checkpoint::resolve(directory);
  const bool offloaded = distillation.parameters != Tier::device;
  ensure(Exit::job_file, !offloaded || student.zero.stage == 3,
         "\"distillation.offload\" is \"cpu\" for slices of the teacher: \"zero_optimization.stage\" must be 3, found ",
         student.zero.stage);
  const std::string zero = "zero_optimization.", device = offloaded ? "cpu" : "none";
  auto job = std::make_unique<Job>(stored_job(
      checkpoint::read_manifest(folder).state.job, folder.string(),
      {str("train_batch_size=", student.batch.samples()),
       str("train_micro_batch_size_per_gpu=", student.batch.micro_batch_size), "reduction_block=1",
       str("data.sequence_length=", student.data.sequence_length), "distillation.peer=null",
       str(zero, "stage=", student.zero.stage), str(zero, "offload_optimizer={\"device\": \"", device, "\"}"),
       str(zero, "offload_param={\"device\": \"", device, "\"}"),
       "fp16.enabled=" + text_of(distillation.precision == DType::float16),
       "bf16.enabled=" + text_of(distillation.precision == DType::bfloat16)}));
  ensure(Exit::job_file, job->model_config.vocabulary == student.model_config.vocabulary, folder.string(),
         " has a vocabulary of ", job->model_config.vocabulary, " tokens, the student's is of ",
         student.model_config.vocabulary, ": a teacher of the same tokens is needed");
  distillation.check(student.model_config, student.batch.micro_batch_size, job->model_config, folder.string());
  job->settle(student.batch.deal.ranks);
  return job;
}

Teachers::Teacher::Teacher(const Job& student, const std::string& directory, Communicator& world, const Memory& memory)
    : folder(checkpoint::resolve(directory)),
      job(teacher_job(student, directory)),
      replica(*job, world, memory, {.placement = std::make_unique<FrozenPlacement>(memory.device)}) {}

std::unique_ptr<compress::StoredLogits> open_stored_logits(const Job& student, const std::string& data) {
  const std::optional<std::string>& path = student.distillation.stored_logits;
  if (!path) return nullptr;
  auto stored = std::make_unique<compress::StoredLogits>(*path);
  stored->check(student.model_config.vocabulary, student.data.sequence_length, data);
  return stored;
}

Teachers::Teachers(const Job& student, compress::Projections* projections, Communicator& world, const Memory& memory,
                   const std::string& data)
    : stored_(open_stored_logits(student, data)) {
  std::vector<compress::TeachingModel> models;
  for (const std::string& directory : student.distillation.teachers) {
    Replica& replica = all_.emplace_back(student, directory, world, memory).replica;
    models.push_back({replica.model(), replica.seams().parameters});
  }
  if (stored_)
    source_ = std::make_unique<compress::StoredTeacher>(*stored_);
  else
    source_ = std::make_unique<compress::TeachingModels>(std::move(models));
  objective_.emplace(student.distillation, *source_, student.model_config,
                     all_.empty() ? nullptr : &all_.front().job->model_config, projections);
}

std::string Teachers::load() {
  if (stored_) return stored_->identity();
  std::string digests;
  for (Teacher& each : all_) {
    const Doing frame{[&] { return "loading the teacher " + each.folder.string(); }};
    each.replica.load_parameters(each.folder);
    if (!digests.empty()) digests += ' ';
    digests += checkpoint::rank_zero_does(each.replica.peers(), [&] { return checkpoint::digest(each.folder); });
  }
  return digests;
}

}  // namespace tranche
