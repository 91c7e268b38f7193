// What a store that speaks S3 says in XML: pages of keys, upload ids, errors. Bytes from the wire:
// bounded before they are parsed, and never trusted about sizes.
#pragma once

#include <string>
#include <string_view>

#include "fletching/status.h"

#include "base/bytes.h"
#include "store/object_store.h"

namespace fletching::store {

// Larger answers are refused before they are parsed. A page of 1,000 keys of 1,024 bytes, each
// byte written as %XX, is below 4 MiB.
constexpr uint64_t kAnswerBytesMax = 8ULL << 20;

struct S3Error {
  std::string code = {};     // "SlowDown"; empty when the body is no S3 error
  std::string message = {};  // cut to 300 bytes, without control characters
  std::string region = {};   // where the bucket is, if the answer tells
};

S3Error ParseS3Error(std::string_view body);

// Keys as the store has them: with its prefix. Errors: kUnavailable for anything but a page.
Result<ObjectPage> ParseListPage(ByteSpan body);
// The text of <name> below a root element of any name. Errors: kUnavailable.
Result<std::string> ParseAnswerField(ByteSpan body, const char* name);

// "Wed, 21 Oct 2015 07:28:00 GMT" or "2015-10-21T07:28:00.123Z" in microseconds; 0 for neither.
int64_t ParseHttpDateUs(const std::string& text);

}  // namespace fletching::store
