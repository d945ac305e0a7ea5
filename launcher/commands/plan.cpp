// tranche plan: what a job will take on each rank, and send, before any of it is taken.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <limits>
#include <memory>
#include <vector>

#include "launcher/commands/commands.h"
#include "launcher/plan.h"
#include "launcher/plan_explain.h"
#include "launcher/plan_text.h"

namespace tranche {
namespace {

struct Options {
  JobOptions job;
  std::vector<std::size_t> ranks{1};
  std::size_t ranks_per_host = std::numeric_limits<std::size_t>::max();
  std::string device_memory, host_memory;
  bool explain = false;
};

Exit run(const Options& options) {
  std::vector<std::string> overrides = options.job.overrides;
  if (!options.device_memory.empty()) overrides.push_back("device.memory=" + options.device_memory);
  if (!options.host_memory.empty()) overrides.push_back("device.host_memory=" + options.host_memory);
  const JobText text = read_job(options.job.file, overrides);
  std::vector<std::unique_ptr<Job>> jobs;
  std::vector<Plan> plans;
  for (const std::size_t ranks : options.ranks) {
    Job& job = *jobs.emplace_back(std::make_unique<Job>(text));
    job.settle(ranks);
    plans.push_back(make_plan(job, options.ranks_per_host));
  }
  std::cout << describe(*jobs.front()) << "\n\n"
            << memory_table(plans) << "\n\n"
            << moment_lines(plans) << "\n\n"
            << traffic_table(plans) << "\n\n"
            << storage_lines(plans) << "\n\n";
  if (options.explain)
    for (std::size_t i = 0; i < plans.size(); ++i) std::cout << explain(*jobs[i], plans[i]) << "\n\n";
  const Job& widest = **std::ranges::max_element(jobs, {}, [](const auto& job) { return job->batch.deal.ranks; });
  std::cout << choice_table(widest, plan_choices(widest, options.ranks_per_host)) << "\n";
  if (std::ranges::any_of(plans, &Plan::fits)) return Exit::success;
  std::cout << "\n" << remedy_lines(find_remedies(widest, options.ranks_per_host), widest) << "\n";
  return Exit::out_of_memory;
}

}  // namespace

void add_plan(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("plan", "Print what a job takes on each rank and sends, without training");
  options->job.add(*command);
  command->add_option("--ranks", options->ranks, "numbers of ranks to plan for")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(1, 1 << 20))
      ->type_name("N[,N...]")
      ->capture_default_str();
  command->add_option("--device-memory", options->device_memory, "what a rank may hold; the same as device.memory")
      ->type_name("SIZE");
  command->add_option("--host-memory", options->host_memory, "what a rank may offload; the same as device.host_memory")
      ->type_name("SIZE");
  command->add_flag("--explain", options->explain, "say where each figure comes from");
  command
      ->add_option("--ranks-per-host", options->ranks_per_host,
                   "ranks that share a host and read each other's memory; all, unless given")
      ->check(CLI::Range(1, 1 << 20))
      ->type_name("N");
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace tranche
