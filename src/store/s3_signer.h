// AWS Signature Version 4 for S3, in the Authorization header.
//
// Source of the formula: "Authenticating Requests: Using the Authorization Header (AWS Signature
// Version 4)", Amazon S3 API Reference. libcurl's own signer is not used: see docs/decisions/0008.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace fletching::store {

struct Credentials {
  std::string access_key = {};  // empty: sign nothing
  std::string secret_key = {};
  std::string session_token = {};
};

using NamedValues = std::vector<std::pair<std::string, std::string>>;

struct SignInput {
  std::string method = {};
  std::string host = {};     // with the port, where it is not the scheme's own
  std::string path = {};     // as sent: begins with '/', encoded by EncodePath
  NamedValues query = {};    // not encoded, any order
  NamedValues headers = {};  // names in lower case; signed besides host and x-amz-*
  std::string payload_sha256 = {};
  std::string region = {};
  int64_t now_us = 0;  // wall clock
};

// "name: value" of every header to send, those of `input` included.
std::vector<std::string> SignedHeaders(const SignInput& input, const Credentials& credentials);

// Everything but A-Z a-z 0-9 - . _ ~ becomes %XX; '/' too, unless it separates.
std::string EncodePath(std::string_view path);
std::string EncodeValue(std::string_view value);
// "a=b&c=d", sorted and encoded as it is signed.
std::string EncodeQuery(NamedValues query);

std::string HexSha256(ByteSpan bytes);
// The etag that S3 gives to an object of parts: the MD5 of their MD5s and their count, with quotes.
// Empty where the parts' etags are no MD5s, as with some encryptions.
std::string EtagOfParts(const std::vector<std::string>& part_etags);

}  // namespace fletching::store
