// What a job file says about its text ("data").
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace tranche {

class Section;

struct DataConfig {
  std::string train;                        // token file
  std::optional<std::string> validation{};  // token file
  std::size_t sequence_length = 0;          // tokens

  void declare(Section& data);
};

}  // namespace tranche
