// The frozen models that a job's student learns from.
#pragma once

#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "compress/distillation.h"
#include "compress/projections.h"
#include "launcher/assemble.h"

namespace tranche {

// The job of a teacher as this student's job runs it: its model, at the student's stage and in its batches. Settled.
// directory: one of distillation.teachers. Throws Exit::checkpoint if there is no such checkpoint, Exit::job_file if
// its model cannot teach this student.
std::unique_ptr<Job> teacher_job(const Job& student, const std::string& directory);

// What this student's job trains beside the model; null: nothing.
std::unique_ptr<compress::Projections> make_projections(const Job& student);

class Teachers {
 public:
  // Collective. student: names at least one; it, its projections (null: none), world and memory must outlive this.
  Teachers(const Job& student, compress::Projections* projections, Communicator& world, const Memory& memory);

  // Collective: the parameters. Returns the checkpoints' digests, with blanks between them.
  std::string load();
  const Objective& objective() const { return *objective_; }

 private:
  struct Teacher {
    Teacher(const Job& student, const std::string& directory, Communicator& world, const Memory& memory);

    std::filesystem::path folder;
    std::unique_ptr<Job> job;
    Replica replica;
  };
  std::deque<Teacher> all_;
  std::optional<compress::Distillation> objective_;
};

}  // namespace tranche
