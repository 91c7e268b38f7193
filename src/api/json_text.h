// Pieces of JSON text, appended to a string. For whole batches see json_batch.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace fletching::api {

// Quoted and escaped. Bytes that are no UTF-8 are written as U+FFFD, so the text always is.
void AppendJsonString(std::string* out, std::string_view text);

// Exact, for every 64-bit value.
void AppendJsonInt(std::string* out, int64_t value);
void AppendJsonUint(std::string* out, uint64_t value);

// The shortest digits that read back as the same double; whole numbers keep ".0", so that they
// stay floating point for a reader. NaN and infinities, which JSON lacks, become null.
void AppendJsonDouble(std::string* out, double value);

// Quoted, with padding (RFC 4648 section 4).
void AppendJsonBase64(std::string* out, ByteSpan bytes);

}  // namespace fletching::api
