// What a Python program prints, standard error included.
#pragma once

#include <stdio.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace tranche::testing {

// Runs `script` in `folder` (where it is left) with `interpreter` and one argument.
inline std::string said_by_python(const std::string& interpreter, const std::filesystem::path& folder,
                                  const std::string& script, const std::string& argument) {
  std::ofstream{folder / "script.py"} << script;
  const std::string command = "cd '" + folder.string() + "' && '" + interpreter + "' script.py '" + argument + "' 2>&1";
  FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + interpreter);
  std::string text;
  char buffer[4096];
  for (std::size_t got; (got = ::fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, got);
  ::pclose(pipe);
  return text;
}

}  // namespace tranche::testing
