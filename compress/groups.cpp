#include "compress/groups.h"

#include <algorithm>
#include <regex>

#include "runtime/base/error.h"
#include "runtime/nn/unit.h"

namespace tranche::compress {

bool Modules::contain(const Parameter& parameter) const {
  if (parameter.shape.dimensions() != 2) return false;
  const std::string name = parameter.name.substr(0, parameter.name.rfind('.'));
  for (const std::string& pattern : patterns)
    if (pattern == "*" || std::regex_search(name, std::regex{pattern})) return true;
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
      if (pattern != "*") const std::regex expression{pattern};
    } catch (const std::regex_error& error) {
      fail(Exit::job_file, str(where, ": \"", pattern, "\" is no regular expression: ", error.what()));
    }
  }
  return patterns;
}

}  // namespace tranche::compress
