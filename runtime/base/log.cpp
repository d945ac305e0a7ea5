#include "runtime/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "runtime/base/error.h"

namespace tranche::log {
namespace {

struct Speaker {
  std::size_t rank = 0, ranks = 1;
  std::shared_ptr<spdlog::logger> logger = [] {
    auto made = std::make_shared<spdlog::logger>("tranche", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    return made;
  }();
  std::string prefix() const { return ranks > 1 ? str("[rank ", rank, "/", ranks, "] ") : std::string{}; }
};

Speaker& speaker() {
  static Speaker instance;
  return instance;
}

}  // namespace

void set_rank(std::size_t rank, std::size_t ranks) {
  speaker().rank = rank;
  speaker().ranks = ranks;
}

void info(const std::string& line) {
  if (speaker().rank == 0) speaker().logger->info("{}", line);
}
void warning(const std::string& line) {
  if (speaker().rank == 0) speaker().logger->info("warning: {}", line);
}
void everywhere(const std::string& line) { speaker().logger->info("{}{}", speaker().prefix(), line); }
void error(const std::string& line) { speaker().logger->info("{}error: {}", speaker().prefix(), line); }

}  // namespace tranche::log
