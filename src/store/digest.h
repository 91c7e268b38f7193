// SHA-256, its HMAC, and MD5, by the system's libcrypto: it uses the processor's own instructions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "fletching/status.h"

#include "base/bytes.h"

namespace fletching::store {

using Sha256Digest = std::array<uint8_t, 32>;
using Md5Digest = std::array<uint8_t, 16>;

// Before the first of those below. Errors: kUnsupported naming the package to install.
Status LoadDigests();

Sha256Digest Sha256(ByteSpan bytes);
Sha256Digest HmacSha256(ByteSpan key, std::string_view text);
// Nothing on a system in FIPS mode.
std::optional<Md5Digest> Md5(ByteSpan bytes);

}  // namespace fletching::store
