// A checkpoint of another model, made of a trained one's parameters, with its model.json beside it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "launcher/opened_model.h"

namespace CLI {
class App;
}

namespace tranche {

// A trained model's parameters and their values, by name.
class TrainedValues {
 public:
  explicit TrainedValues(OpenedModel& model);  // which outlives it

  const Parameter& parameter(const std::string& name) const;
  // Good until the next call.
  std::span<const float> of(const std::string& name);

 private:
  struct Found {
    const Unit* unit;
    const Parameter* parameter;
  };
  const Found& find(const std::string& name) const;

  const OpenedModel& model_;
  std::map<std::string, Found> found_;
  compress::UnitValues held_;
};

// The job that trained this step's checkpoint, of another model: what a job file may go on with. Compression and a
// teacher were of other weights, and are not taken over. Settled, for one rank.
std::unique_ptr<Job> job_of_remade(const std::filesystem::path& folder, const Json& model);

// The options of a command that reads a checkpoint and writes a remade one: DIR and -o DIR, both required.
void add_remade_options(CLI::App& command, std::string& checkpoint, std::string& output);

// Throws Exit::usage if a directory holds checkpoints.
void check_no_checkpoints(const std::string& directory);

// Writes the parameters alone, of the step and tokens of `trained`: directory/step-... and directory/model.json.
// values_of: of each parameter of the job's model. Returns how many parameters that has. Collective over trained's one
// rank.
std::size_t write_remade(const std::string& directory, OpenedModel& trained, const Job& job,
                         const std::function<std::vector<float>(const Parameter&)>& values_of);

}  // namespace tranche
