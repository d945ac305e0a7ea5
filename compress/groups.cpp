#include "compress/groups.h"

#include <algorithm>
#include <mutex>
#include <regex>

#include "compress/block_names.h"
#include "runtime/base/error.h"
#include "runtime/nn/unit.h"

namespace tranche::compress {

namespace {

// One at a time: to read an expression, std::regex asks std::ctype<char>::narrow, which in libstdc++ fills a table that
// all threads share without a lock (https://gcc.gnu.org/PR77704). Ranks may be threads.
std::regex expression_of(const std::string& pattern) {
  static std::mutex reading;
  const std::lock_guard lock(reading);
  return std::regex{pattern};
}

}  // namespace

bool Modules::contain(const Parameter& parameter) const {
  if (parameter.shape.dimensions() != 2 || is_beside_the_model(parameter.name)) return false;
  const std::string name = parameter.name.substr(0, parameter.name.rfind('.'));
  for (const std::string& pattern : patterns)
    if (pattern == "*" || std::regex_search(name, expression_of(pattern))) return true;
  return false;
}

void Modules::check_used(const std::deque<Unit>& units, const std::string& technique) const {
  const bool used = std::ranges::any_of(units, [&](const Unit& unit) {
    return std::ranges::any_of(unit.parameters(), [&](const Parameter* each) { return contain(*each); });
  });
  ensure(Exit::job_file, used, "\"compression_training.", technique,
         ".different_groups\": no weight of the model is in the modules \"", patterns.front(), "\"",
         patterns.size() > 1 ? "..." : "", "; names look like ", units.back().parameters().front()->name);
}

std::vector<std::string> read_patterns(const Json& json, const std::string& where) {
  std::vector<std::string> patterns;
  ensure(Exit::job_file, json.is_array() && !json.empty(), where, " must be a list of names, found ",
         json_excerpt(json));
  for (const Json& each : json) {
    ensure(Exit::job_file, each.is_string(), where, " must be a list of names, found ", json_excerpt(each));
    const auto& pattern = patterns.emplace_back(each.get<std::string>());
    try {
      if (pattern != "*") static_cast<void>(expression_of(pattern));
    } catch (const std::regex_error& error) {
      fail(Exit::job_file, str(where, ": \"", pattern, "\" is no regular expression: ", error.what()));
    }
  }
  return patterns;
}

}  // namespace tranche::compress
