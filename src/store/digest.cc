#include "store/digest.h"

#include "openssl/evp.h"
#include "openssl/hmac.h"

#include "base/check.h"
#include "base/system_library.h"

namespace fletching::store {
namespace {

struct CryptoLibrary {
  decltype(&::EVP_Q_digest) q_digest;
  decltype(&::EVP_sha256) sha256;
  decltype(&::HMAC) hmac;
};

Result<CryptoLibrary> Load() {
  ARROW_ASSIGN_OR_RAISE(const SystemLibrary library,
                        SystemLibrary::Open("libcrypto.so.3", "libssl3"));
  CryptoLibrary crypto{};
  ARROW_RETURN_NOT_OK(library.Find("EVP_Q_digest", &crypto.q_digest));
  ARROW_RETURN_NOT_OK(library.Find("EVP_sha256", &crypto.sha256));
  ARROW_RETURN_NOT_OK(library.Find("HMAC", &crypto.hmac));
  return crypto;
}

const Result<CryptoLibrary>& Loaded() {
  static const Result<CryptoLibrary> loaded = Load();
  return loaded;
}

bool Digest(const char* name, ByteSpan bytes, std::span<uint8_t> digest) {
  FLETCHING_CHECK(Loaded().ok());
  size_t size_bytes = 0;
  return Loaded()->q_digest(nullptr, name, nullptr, bytes.data(), bytes.size(), digest.data(),
                            &size_bytes) == 1 &&
         size_bytes == digest.size();
}

}  // namespace

Status LoadDigests() { return Loaded().status(); }

Sha256Digest Sha256(ByteSpan bytes) {
  Sha256Digest digest;
  FLETCHING_CHECK(Digest("SHA256", bytes, digest));
  return digest;
}

Sha256Digest HmacSha256(ByteSpan key, std::string_view text) {
  FLETCHING_CHECK(Loaded().ok());
  Sha256Digest digest;
  unsigned int size_bytes = 0;
  const ByteSpan bytes = AsBytes(text);
  FLETCHING_CHECK(Loaded()->hmac(Loaded()->sha256(), key.data(), static_cast<int>(key.size()),
                                 bytes.data(), bytes.size(), digest.data(),
                                 &size_bytes) != nullptr);
  return digest;
}

std::optional<Md5Digest> Md5(ByteSpan bytes) {
  Md5Digest digest;
  if (!Digest("MD5", bytes, digest)) return std::nullopt;
  return digest;
}

}  // namespace fletching::store
