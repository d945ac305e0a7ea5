// What a job's student learns from: frozen models, or what they have said.
#pragma once

#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "compress/distillation.h"
#include "launcher/assemble.h"

namespace tranche {

// The job of a teacher as this student's job runs it: its model, at the student's stage and in its batches. Settled.
// directory: one of distillation.teachers. Throws Exit::checkpoint if there is no such checkpoint, Exit::job_file if
// its model cannot teach this student.
std::unique_ptr<Job> teacher_job(const Job& student, const std::string& directory);

// The stored logits of this student's job; null: it has none. data: TokenFile::sha256 of what it is trained on, "" in a
// plan. Throws Exit::data if they are no such file, or of another vocabulary, length of samples or other tokens.
std::unique_ptr<compress::StoredLogits> open_stored_logits(const Job& student, const std::string& data);

class Teachers {
 public:
  // Collective. student: somebody teaches it; it, its projections (null: none), world and memory must outlive this.
  // data: as open_stored_logits has it.
  Teachers(const Job& student, compress::Projections* projections, Communicator& world, const Memory& memory,
           const std::string& data);

  // Collective: the parameters. Returns what a student's checkpoint remembers of who taught it: the checkpoints'
  // digests, with blanks between them.
  std::string load();
  const compress::LogitSource& source() const { return *source_; }
  const Objective& objective() const { return *objective_; }

 private:
  struct Teacher {
    Teacher(const Job& student, const std::string& directory, Communicator& world, const Memory& memory);

    std::filesystem::path folder;
    std::unique_ptr<Job> job;
    Replica replica;
  };
  std::deque<Teacher> all_;
  std::unique_ptr<compress::StoredLogits> stored_;
  std::unique_ptr<compress::LogitSource> source_;
  std::optional<compress::Distillation> objective_;
};

}  // namespace tranche
