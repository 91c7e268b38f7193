#include "store/s3_answer.h"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <pugixml.hpp>

namespace fletching::store {
namespace {

constexpr size_t kMessageMax = 300;

Status Nonsense(const std::string& what) {
  return Unavailable("the answer is not what S3 would say: " + what);
}

// No DOCTYPE, no entities but the five of XML, no processing instructions.
constexpr unsigned int kParseOptions =
    pugi::parse_minimal | pugi::parse_escapes | pugi::parse_cdata;

Status Load(ByteSpan body, pugi::xml_document* document) {
  if (body.size() > kAnswerBytesMax) return Nonsense("larger than 8 MiB");
  const pugi::xml_parse_result parsed =
      document->load_buffer(body.data(), body.size(), kParseOptions, pugi::encoding_utf8);
  if (!parsed) return Nonsense(std::string("XML: ") + parsed.description());
  return Status::OK();
}

std::string Clean(std::string_view text) {
  std::string out(text.substr(0, kMessageMax));
  std::replace_if(out.begin(), out.end(), [](unsigned char c) { return c < 32 || c == 127; }, ' ');
  return out;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// encoding-type=url: form encoding, where a blank may be '+'.
std::string Decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 &&
        HexDigit(text[i + 2]) >= 0) {
      out += static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

Result<ObjectInfo> ReadObject(const pugi::xml_node& node, bool encoded) {
  ObjectInfo info;
  info.key = encoded ? Decoded(node.child_value("Key")) : node.child_value("Key");
  const std::string_view size = node.child_value("Size");
  const auto [end, error] =
      std::from_chars(size.data(), size.data() + size.size(), info.size_bytes);
  if (info.key.empty() || error != std::errc() || end != size.data() + size.size()) {
    return Nonsense("an object without key or size");
  }
  info.etag = node.child_value("ETag");
  info.modified_us = ParseHttpDateUs(node.child_value("LastModified"));
  return info;
}

}  // namespace

S3Error ParseS3Error(std::string_view body) {
  S3Error error;
  pugi::xml_document document;
  if (!Load(AsBytes(body), &document).ok()) return error;
  const pugi::xml_node root = document.document_element();
  if (std::string_view(root.name()) != "Error") return error;
  error.code = Clean(root.child_value("Code"));
  error.message = Clean(root.child_value("Message"));
  error.region = Clean(root.child_value("Region"));
  return error;
}

Result<ObjectPage> ParseListPage(ByteSpan body) {
  pugi::xml_document document;
  ARROW_RETURN_NOT_OK(Load(body, &document));
  const pugi::xml_node root = document.document_element();
  if (std::string_view(root.name()) != "ListBucketResult") return Nonsense("no ListBucketResult");
  const bool encoded = std::string_view(root.child_value("EncodingType")) == "url";
  ObjectPage page;
  for (const pugi::xml_node node : root.children("Contents")) {
    ARROW_ASSIGN_OR_RAISE(ObjectInfo info, ReadObject(node, encoded));
    page.objects.push_back(std::move(info));
  }
  for (const pugi::xml_node node : root.children("CommonPrefixes")) {
    const char* const name = node.child_value("Prefix");
    page.folders.push_back(encoded ? Decoded(name) : name);
  }
  if (std::string_view(root.child_value("IsTruncated")) == "true") {
    page.next_page = root.child_value("NextContinuationToken");
    if (page.next_page.empty()) return Nonsense("a page that goes on without saying where");
  }
  return page;
}

Result<std::string> ParseAnswerField(ByteSpan body, const char* name) {
  pugi::xml_document document;
  ARROW_RETURN_NOT_OK(Load(body, &document));
  const std::string text = document.document_element().child_value(name);
  if (text.empty()) return Nonsense(std::string("no ") + name);
  return text;
}

int64_t ParseHttpDateUs(const std::string& text) {
  std::tm parts{};
  const char* rest = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (rest == nullptr) rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return 0;
  int64_t micros = 0;
  if (*rest == '.') {
    int64_t unit = 100'000;
    for (++rest; *rest >= '0' && *rest <= '9'; ++rest, unit /= 10) micros += (*rest - '0') * unit;
  }
  return int64_t{::timegm(&parts)} * 1'000'000 + micros;
}

}  // namespace fletching::store
