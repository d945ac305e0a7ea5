// Secrets that prove who may talk to a supervisor.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace tranche {

// 256 random bits of the kernel's, as 64 hexadecimal digits.
std::string new_token();

// In a time that does not tell how much of it is right.
bool same_token(std::string_view a, std::string_view b);

// A new file with the token that only this user can read, in place of one of that name. Throws Exit::storage.
void write_token(const std::filesystem::path& path, std::string_view token);

// Whether it can be one, and stand in a line of HTTP: what RFC 6750 allows there, up to 4 KiB.
bool is_token(std::string_view text);

// What such a file holds, less white space around it. Throws Exit::usage where there is none, or something else.
std::string read_token(const std::filesystem::path& path);

}  // namespace tranche
