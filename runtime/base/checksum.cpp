#include "runtime/base/checksum.h"

#include <xxhash.h>

#include <bit>
#include <iomanip>
#include <sstream>

#include "runtime/base/error.h"

namespace tranche {

struct Checksum::State {
  State() : xxh(XXH3_createState()) { check(xxh != nullptr, "checksum: no memory for a state"); }
  ~State() { XXH3_freeState(xxh); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  XXH3_state_t* xxh;
};

Checksum::Checksum() : state_(std::make_unique<State>()) {
  check(XXH3_128bits_reset(state_->xxh) == XXH_OK, "checksum: the state could not be started");
}
Checksum::~Checksum() = default;
Checksum::Checksum(Checksum&&) noexcept = default;
Checksum& Checksum::operator=(Checksum&&) noexcept = default;

void Checksum::add(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;  // the library refuses a null pointer even with no bytes behind it
  check(XXH3_128bits_update(state_->xxh, bytes.data(), bytes.size()) == XXH_OK, "checksum: bytes could not be added");
}

Checksum::Bytes Checksum::bytes() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_->xxh));
  return std::bit_cast<Bytes>(canonical);
}

std::string Checksum::hex() const {
  std::ostringstream text;
  text << std::hex << std::setfill('0');
  for (const std::byte byte : bytes()) text << std::setw(2) << static_cast<int>(byte);
  return std::move(text).str();
}

}  // namespace tranche
