#include "store/s3_signer.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include "store/digest.h"

namespace fletching::store {
namespace {

std::string Hex(ByteSpan bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string Encoded(std::string_view text, bool keep_slash) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~' || (c == '/' && keep_slash);
    if (plain) {
      out += c;
    } else {
      const auto byte = static_cast<uint8_t>(c);
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  return out;
}

std::string AmzDate(int64_t now_us) {
  const auto seconds = static_cast<std::time_t>(now_us / 1'000'000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", &parts);
  return text.data();
}

// Key of one day, region and service, from the secret.
Sha256Digest SigningKey(const std::string& secret, std::string_view day,
                        const std::string& region) {
  const std::string first = "AWS4" + secret;
  const Sha256Digest of_day = HmacSha256(AsBytes(first), day);
  const Sha256Digest of_region = HmacSha256(of_day, region);
  const Sha256Digest of_service = HmacSha256(of_region, "s3");
  return HmacSha256(of_service, "aws4_request");
}

}  // namespace

std::string EncodePath(std::string_view path) { return Encoded(path, true); }
std::string EncodeValue(std::string_view value) { return Encoded(value, false); }

std::string EncodeQuery(NamedValues query) {
  for (auto& [name, value] : query) {
    name = EncodeValue(name);
    value = EncodeValue(value);
  }
  std::sort(query.begin(), query.end());
  std::string text;
  for (const auto& [name, value] : query) {
    if (!text.empty()) text += '&';
    text.append(name).append("=").append(value);
  }
  return text;
}

std::string HexSha256(ByteSpan bytes) { return Hex(Sha256(bytes)); }

std::vector<std::string> SignedHeaders(const SignInput& input, const Credentials& credentials) {
  std::vector<std::string> lines;
  const bool anonymous = credentials.access_key.empty();
  const std::string date = AmzDate(input.now_us);
  NamedValues headers = input.headers;
  headers.emplace_back("host", input.host);
  if (!anonymous) {
    headers.emplace_back("x-amz-date", date);
    headers.emplace_back("x-amz-content-sha256", input.payload_sha256);
    if (!credentials.session_token.empty()) {
      headers.emplace_back("x-amz-security-token", credentials.session_token);
    }
  }
  std::sort(headers.begin(), headers.end());
  std::string canonical;
  std::string names;
  for (const auto& [name, value] : headers) {
    lines.push_back(name + ": " + value);
    canonical.append(name).append(":").append(value).append("\n");
    if (!names.empty()) names += ';';
    names += name;
  }
  if (anonymous) return lines;

  const std::string request = input.method + "\n" + input.path + "\n" + EncodeQuery(input.query) +
                              "\n" + canonical + "\n" + names + "\n" + input.payload_sha256;
  const std::string_view day = std::string_view(date).substr(0, 8);
  const std::string scope = std::string(day) + "/" + input.region + "/s3/aws4_request";
  const std::string text =
      "AWS4-HMAC-SHA256\n" + date + "\n" + scope + "\n" + HexSha256(AsBytes(request));
  const Sha256Digest key = SigningKey(credentials.secret_key, day, input.region);
  lines.push_back("authorization: AWS4-HMAC-SHA256 Credential=" + credentials.access_key + "/" +
                  scope + ",SignedHeaders=" + names + ",Signature=" + Hex(HmacSha256(key, text)));
  return lines;
}

std::string EtagOfParts(const std::vector<std::string>& part_etags) {
  std::vector<uint8_t> joined;
  for (std::string_view etag : part_etags) {
    if (etag.starts_with('"') && etag.ends_with('"') && etag.size() == 34) {
      etag = etag.substr(1, 32);
    }
    if (etag.size() != 32) return {};
    for (size_t i = 0; i < etag.size(); i += 2) {
      const std::string pair(etag.substr(i, 2));
      unsigned int byte = 0;
      if (pair.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos ||
          std::sscanf(pair.c_str(), "%x", &byte) != 1) {
        return {};
      }
      joined.push_back(static_cast<uint8_t>(byte));
    }
  }
  const std::optional<Md5Digest> digest = Md5(joined);
  if (!digest) return {};
  return '"' + Hex(*digest) + "-" + std::to_string(part_etags.size()) + '"';
}

}  // namespace fletching::store
