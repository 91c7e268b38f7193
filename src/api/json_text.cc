#include "api/json_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "arrow/util/utf8.h"

namespace fletching::api {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

bool NeedsEscape(char c) { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\'; }

void AppendEscaped(std::string* out, char c) {
  switch (c) {
    case '"':
      out->append("\\\"");
      return;
    case '\\':
      out->append("\\\\");
      return;
    case '\n':
      out->append("\\n");
      return;
    case '\r':
      out->append("\\r");
      return;
    case '\t':
      out->append("\\t");
      return;
    default:
      break;
  }
  const auto byte = static_cast<unsigned char>(c);
  out->append("\\u00");
  out->push_back(kHexDigits[byte >> 4]);
  out->push_back(kHexDigits[byte & 15]);
}

// Bytes of the UTF-8 sequence that starts `text`, or 0 when none does.
size_t SequenceBytes(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const size_t bytes = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (text.size() < bytes) return 0;
  const auto* data = reinterpret_cast<const uint8_t*>(text.data());
  return arrow::util::ValidateUTF8(data, static_cast<int64_t>(bytes)) ? bytes : 0;
}

// What came through a check is UTF-8; this is for texts that did not, such as names in errors.
std::string Repaired(std::string_view text) {
  std::string good;
  while (!text.empty()) {
    const size_t bytes = SequenceBytes(text);
    good.append(bytes == 0 ? "\xEF\xBF\xBD" : text.substr(0, bytes));
    text.remove_prefix(bytes == 0 ? 1 : bytes);
  }
  return good;
}

}  // namespace

void AppendJsonString(std::string* out, std::string_view text) {
  std::string repaired;
  if (!arrow::util::ValidateUTF8(text)) {
    repaired = Repaired(text);
    text = repaired;
  }
  out->push_back('"');
  size_t start = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!NeedsEscape(text[i])) continue;
    out->append(text, start, i - start);
    AppendEscaped(out, text[i]);
    start = i + 1;
  }
  out->append(text, start);
  out->push_back('"');
}

void AppendJsonInt(std::string* out, int64_t value) {
  char digits[24];
  const auto [end, error] = std::to_chars(digits, digits + sizeof(digits), value);
  out->append(digits, end);
}

void AppendJsonUint(std::string* out, uint64_t value) {
  char digits[24];
  const auto [end, error] = std::to_chars(digits, digits + sizeof(digits), value);
  out->append(digits, end);
}

void AppendJsonDouble(std::string* out, double value) {
  if (!std::isfinite(value)) {
    out->append("null");
    return;
  }
  char digits[32];
  char* end = std::to_chars(digits, digits + sizeof(digits) - 2, value).ptr;
  const auto is_fraction = [](char c) { return c == '.' || c == 'e'; };
  if (std::none_of(digits, end, is_fraction)) {
    *end++ = '.';
    *end++ = '0';
  }
  out->append(digits, end);
}

void AppendJsonBase64(std::string* out, ByteSpan bytes) {
  constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  out->push_back('"');
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = bytes.size() - i;
    const uint32_t group = uint32_t{bytes[i]} << 16 | (left > 1 ? uint32_t{bytes[i + 1]} << 8 : 0) |
                           (left > 2 ? uint32_t{bytes[i + 2]} : 0);
    out->push_back(kAlphabet[group >> 18]);
    out->push_back(kAlphabet[group >> 12 & 63]);
    out->push_back(left > 1 ? kAlphabet[group >> 6 & 63] : '=');
    out->push_back(left > 2 ? kAlphabet[group & 63] : '=');
  }
  out->push_back('"');
}

}  // namespace fletching::api
