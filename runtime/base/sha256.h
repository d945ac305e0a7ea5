// SHA-256 of bytes added piece by piece (FIPS 180-4): the digest of a checkpoint's logical state.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace tranche {

// One object belongs to one thread at a time. Throws Exit::internal if the library refuses.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void add(std::span<const std::byte> bytes);
  void add(std::string_view text) { add(std::as_bytes(std::span{text.data(), text.size()})); }

  // 64 hexadecimal digits of all that was added so far; more may be added afterwards.
  std::string hex() const;

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace tranche
