#include "format/inspection.h"

#include <cstdio>

#include "base/check.h"
#include "base/checksum.h"
#include "format/fields.h"

namespace fletching::format {
namespace {

constexpr size_t kTextShownMax = 200;

uint64_t LoadNumber(const uint8_t* at, size_t bytes) {
  uint64_t number = 0;
  std::memcpy(&number, at, bytes);
  return number;
}

size_t WidthOf(const std::string& type) {
  return static_cast<size_t>(std::atoi(type.c_str() + 1)) / 8;
}

std::string NumberText(const Field& field, const uint8_t* at, size_t bytes) {
  const uint64_t number = LoadNumber(at, bytes);
  if (field.name == "magic" || field.name == "salt" || field.name == "hash_seed" ||
      field.name.ends_with("checksum")) {
    return Hex(number);
  }
  if (field.type[0] == 'u') return std::to_string(number);
  return std::to_string(bytes == 4 ? static_cast<int32_t>(number) : static_cast<int64_t>(number));
}

std::string ValueText(const Field& field, const uint8_t* at) {
  const size_t width = WidthOf(field.type);
  if (width == field.size) return NumberText(field, at, width);
  std::string text;
  for (size_t i = 0; i < field.size; i += width) {
    text += (i == 0 ? "" : " ") + NumberText(field, at + i, width);
  }
  return text;
}

}  // namespace

std::string Hex(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof(text), "0x%016llx", static_cast<unsigned long long>(value));
  return text;
}

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text.substr(0, kTextShownMax)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f && c != '"' && c != '\\') {
      quoted += c;
      continue;
    }
    char escaped[8];
    std::snprintf(escaped, sizeof(escaped), "\\x%02x", byte);
    quoted += escaped;
  }
  return quoted + (text.size() > kTextShownMax ? "\"..." : "\"");
}

Inspection::Inspection(ByteSpan bytes, std::string kind, bool show_all)
    : bytes_(bytes), show_all_(show_all) {
  Add(0, std::move(kind), 0, bytes.size(), "", "");
}

void Inspection::Add(int32_t depth, std::string name, uint64_t offset, uint64_t size,
                     std::string type, std::string value) {
  report_.lines.push_back(
      {depth, std::move(name), offset, size, std::move(type), std::move(value), ""});
}

void Inspection::Problem(uint64_t offset, std::string_view what) {
  std::string text = "offset " + std::to_string(offset) + ": ";
  text += what;
  if (report_.lines.back().problem.empty()) report_.lines.back().problem = text;
  if (report_.lines.front().problem.empty()) report_.lines.front().problem = text;
}

void Inspection::AddRest(int32_t depth, uint64_t count) {
  if (count > 0) Add(depth, "...", 0, 0, "", std::to_string(count) + " more");
}

bool Inspection::Holds(uint64_t offset, uint64_t size) {
  if (offset <= bytes_.size() && size <= bytes_.size() - offset) return true;
  Problem(bytes_.size(), "reaches past the end of the file");
  return false;
}

bool Inspection::AddStruct(int32_t depth, std::string name, uint64_t offset,
                           const std::string& struct_name, uint64_t magic) {
  const auto found = Structs().find(struct_name);
  FLETCHING_CHECK(found != Structs().end());
  const std::vector<Field>& fields = found->second;
  const uint64_t size = fields.back().offset + fields.back().size;
  Add(depth, std::move(name), offset, size, struct_name, "");
  bool is_good = true;
  for (const Field& field : fields) {
    const uint64_t at = offset + field.offset;
    if (at > bytes_.size() || field.size > bytes_.size() - at) {
      Problem(bytes_.size(),
              "the file is cut short, " + struct_name + "." + field.name + " is not there");
      return false;
    }
    Add(depth + 1, field.name, at, field.size, field.type, ValueText(field, &bytes_[at]));
    const uint64_t value = field.size <= 8 ? LoadNumber(&bytes_[at], field.size) : 0;
    if (field.name == "magic" && magic != 0 && value != magic) {
      Problem(at, "wrong magic, " + Hex(magic) + " is right");
      is_good = false;
    }
    if (field.name == "checksum") {
      const uint64_t computed = Checksum(bytes_.subspan(offset, field.offset));
      if (computed != value) Problem(at, "checksum differs, " + Hex(computed) + " fits the bytes");
      is_good = is_good && computed == value;
      if (computed == value) report_.lines.back().value += " ok";
    }
  }
  return is_good;
}

}  // namespace fletching::format
