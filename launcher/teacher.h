// The frozen model that a job's student learns from.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "compress/distillation.h"
#include "launcher/assemble.h"

namespace tranche {

// The job of the teacher as this student's job runs it: its model, at the student's stage and in its batches. Settled.
// Throws Exit::checkpoint if there is no such checkpoint, Exit::job_file if its model cannot teach this student.
std::unique_ptr<Job> teacher_job(const Job& student);

class Teacher {
 public:
  // Collective. student: names a teacher; it, world and memory must outlive this.
  Teacher(const Job& student, Communicator& world, const Memory& memory);

  // Collective: the parameters. Returns the checkpoint's digest.
  std::string load();
  const Objective& objective() const { return objective_; }

 private:
  std::filesystem::path folder_;
  std::unique_ptr<Job> job_;
  Replica replica_;
  compress::Distillation objective_;
};

}  // namespace tranche
