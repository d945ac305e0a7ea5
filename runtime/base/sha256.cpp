#include "runtime/base/sha256.h"

#include <openssl/evp.h>

#include <array>
#include <iomanip>
#include <sstream>

#include "runtime/base/error.h"

namespace tranche {

struct Sha256::Context {
  Context() : evp(EVP_MD_CTX_new()) { check(evp != nullptr, "SHA-256: no memory for a context"); }
  ~Context() { EVP_MD_CTX_free(evp); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  EVP_MD_CTX* evp;
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  check(EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr) == 1, "SHA-256: OpenSSL cannot provide it");
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::add(std::span<const std::byte> bytes) {
  check(EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size()) == 1, "SHA-256: OpenSSL failed to add bytes");
}

std::string Sha256::hex() const {
  const Context copy;  // finishing would end the original
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  check(EVP_MD_CTX_copy_ex(copy.evp, context_->evp) == 1 && EVP_DigestFinal_ex(copy.evp, digest.data(), &size) == 1,
        "SHA-256: OpenSSL failed to finish");
  std::ostringstream text;
  text << std::hex << std::setfill('0');
  for (unsigned i = 0; i < size; ++i) text << std::setw(2) << static_cast<int>(digest[i]);
  return std::move(text).str();
}

}  // namespace tranche
