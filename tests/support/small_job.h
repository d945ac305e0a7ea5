// A small job that trains in a fraction of a second, and its run in any arrangement, with ranks as threads.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "launcher/assemble.h"
#include "runtime/comm/communicator.h"
#include "tests/support/temporary_folder.h"

namespace tranche::testing {

enum class Numbers { float32, bfloat16, float16 };
enum class Architecture { gpt2, llama };

// What the numbers may depend on...
struct SmallJob {
  Numbers numbers = Numbers::float32;
  Architecture architecture = Architecture::gpt2;
  std::size_t micro_batches = 12;
  std::vector<std::string> changes{};  // as --set takes them
};

// Where optimizer state lives: on the device, in host memory, partly there, on disk; the last two in many pieces. With
// `slices` those of parameters lie there too, at stage 3.
enum class Offload { nothing, to_host, partly_to_host, to_disk, slices_to_host, slices_to_disk };

// ...and what they must not depend on.
struct Arrangement {
  std::size_t ranks = 1, stage = 0;
  std::size_t bucket = 50'000'000;  // of prefetch and reduction, elements
  bool recompute = false;
  std::size_t threads = 1;
  Offload offload = Offload::nothing;
};
std::string name_of(const Arrangement& arrangement);

// A folder with a token file and job files; runs write their checkpoints into it.
class SmallRun {
 public:
  SmallRun();

  // Trains to `steps` steps (from the newest checkpoint of `directory` if there is one), saves, and returns the digest.
  // directory: a name within the folder; every rank's final loss scale and number of skipped steps go to `last`.
  std::string digest_after(std::size_t steps, const SmallJob& job, const Arrangement& arrangement,
                           const std::string& directory);
  // The same in a directory that nothing was in.
  std::string digest_after(std::size_t steps, const SmallJob& job, const Arrangement& arrangement);

  std::filesystem::path write_job(const SmallJob& job, const std::string& directory);
  std::vector<std::string> overrides(const Arrangement& arrangement) const;
  const std::filesystem::path& folder() const { return folder_.path(); }

  struct Last {
    std::size_t skipped = 0;
    double loss = 0, first_loss = 0;
  };
  const Last& last() const { return last_; }  // of rank 0, over the steps of the newest run

 private:
  TemporaryFolder folder_;
  std::size_t runs_ = 0;
  Last last_;
};

// What one rank does in digest_after: also the body of a process under mpirun.
SmallRun::Last train_small(const std::filesystem::path& job, const std::vector<std::string>& overrides,
                           std::size_t steps, Communicator& world);

}  // namespace tranche::testing
