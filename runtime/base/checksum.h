// A checksum against accidents (not attackers) that is as fast as memory: XXH3, 128 bits, of the xxHash library.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace tranche {

// Bytes are added piece by piece; how they are cut does not matter. One object belongs to one thread at a time.
class Checksum {
 public:
  Checksum();
  ~Checksum();
  Checksum(Checksum&&) noexcept;
  Checksum& operator=(Checksum&&) noexcept;

  void add(std::span<const std::byte> bytes);
  void add(std::string_view text) { add(std::as_bytes(std::span{text.data(), text.size()})); }

  // Of all that was added so far: the library's canonical, big-endian form, and the same as 32 hexadecimal digits.
  using Bytes = std::array<std::byte, 16>;
  Bytes bytes() const;
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tranche
