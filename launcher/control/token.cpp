#include "launcher/control/token.h"

#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "runtime/base/error.h"
#include "runtime/base/file.h"

namespace tranche {

std::string new_token() {
  std::array<unsigned char, 32> bytes;
  check(::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()),
        "getrandom: ", ::strerror(errno));
  std::string text;
  for (const unsigned char byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

bool same_token(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

void write_token(const std::filesystem::path& path, std::string_view token) {
  ::unlink(path.c_str());  // whoever has the old file open reads that one
  const int file = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
  const bool written = file >= 0 && ::write(file, token.data(), token.size()) == static_cast<ssize_t>(token.size());
  const int error = errno;
  if (file >= 0) ::close(file);
  ensure(Exit::storage, written, "cannot write ", path.string(), ": ", ::strerror(error));
}

bool is_token(std::string_view text) {
  constexpr std::size_t longest = 4096;
  constexpr std::string_view others = "-._~+/=";
  return !text.empty() && text.size() <= longest && std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || others.find(c) != others.npos;
  });
}

std::string read_token(const std::filesystem::path& path) {
  std::string text;
  try {
    text = read_small_file(path);
  } catch (const Error& error) {
    fail(Exit::usage, str("there is no token: ", without_frames(error.what())));
  }
  constexpr const char* space = " \t\r\n";
  text.erase(text.find_last_not_of(space) + 1);
  text.erase(0, std::min(text.size(), text.find_first_not_of(space)));
  ensure(Exit::usage, is_token(text), path.string(), " holds no token");
  return text;
}

}  // namespace tranche
