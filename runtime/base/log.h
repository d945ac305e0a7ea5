// Lines for a person, on standard error. Rank 0 speaks unless a line concerns the rank itself. Thread-safe.
#pragma once

#include <string>

namespace tranche::log {

// Names this process in every line ("[rank 3/8] ..."); one rank alone is not named.
void set_rank(std::size_t rank, std::size_t ranks);

void info(const std::string& line);        // on rank 0 only
void warning(const std::string& line);     // on rank 0 only
void everywhere(const std::string& line);  // from this rank, whichever it is
void error(const std::string& line);       // from this rank, whichever it is

}  // namespace tranche::log
