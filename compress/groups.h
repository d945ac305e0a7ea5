// Groups of weights that a compression technique treats alike, as DeepSpeed's configuration names them.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "runtime/base/settings.h"

namespace tranche {

class Unit;
struct Parameter;

namespace compress {

// Which weights a group means: "*" all, else a regular expression that is searched for in the name of the module
// ("blocks.0.mlp.up"). Weights are what has two dimensions: of linears, tables and heads, but of no projection that is
// trained beside the model.
struct Modules {
  std::vector<std::string> patterns{"*"};
  bool contain(const Parameter& parameter) const;
  // Throws Exit::job_file if none of these units has a weight that they contain; technique: its key.
  void check_used(const std::deque<Unit>& units, const std::string& technique) const;
};

// A list of patterns. Throws Exit::job_file, beginning with `where`, for what is none.
std::vector<std::string> read_patterns(const Json& json, const std::string& where);

// An object of groups, { "name": {"params": {...}, "modules": [...]}, ... }. declare(params, group) declares the params
// of one. Throws Exit::job_file for what is none.
template <class Group, class Declare>
std::vector<Group> read_groups(const Json& json, const std::string& path, const Source& source, Declare declare) {
  ensure(Exit::job_file, json.is_object() && !json.empty(), source.file, ": \"", path,
         "\" must hold at least one group, { \"all\": {\"params\": {...}, \"modules\": [\"*\"]} }, found ",
         json_excerpt(json));
  std::vector<Group> groups;
  for (const auto& [name, text] : json.items()) {
    Group group;
    Json modules = Json::array({"*"});
    Section section{path + "." + name};
    declare(section.section("params", ""), group);
    section.key("modules", modules);
    section.no_effect("related_modules", nullptr, "it is for pruning of rows and heads");
    section.load(text, source);
    group.modules.patterns =
        read_patterns(modules, section.place_of("modules") + "\"" + path + "." + name + ".modules\"");
    groups.push_back(std::move(group));
  }
  return groups;
}

// The first that contains the parameter; null: none.
template <class Group> const Group* first_with(const std::vector<Group>& groups, const Parameter& parameter) {
  for (const Group& group : groups)
    if (group.modules.contain(parameter)) return &group;
  return nullptr;
}

}  // namespace compress
}  // namespace tranche
