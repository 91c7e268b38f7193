#include "format/file_names.h"

namespace fletching::format {
namespace {

constexpr size_t kIdDigits = 8;
constexpr size_t kNumberDigits = 20;

std::string Padded(uint64_t number, size_t width) {
  const std::string digits = std::to_string(number);
  return std::string(digits.size() < width ? width - digits.size() : 0, '0') + digits;
}

uint64_t ParseDigits(std::string_view text) {
  uint64_t number = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') return 0;
    number = number * 10 + static_cast<uint64_t>(digit - '0');
  }
  return number;
}

std::string NumberedName(uint64_t number, std::string_view ending) {
  return Padded(number, kNumberDigits).append(ending);
}

}  // namespace

std::string TableFolderName(uint64_t id) { return Padded(id, kIdDigits); }
uint64_t ParseTableFolder(std::string_view name) {
  return name.size() < kIdDigits ? 0 : ParseDigits(name);
}

std::string TablesFolder(const std::string& data_dir) { return data_dir + "/tables"; }
std::string LockFile(const std::string& data_dir) { return data_dir + "/LOCK"; }

std::string SegmentFileName(uint64_t number) { return NumberedName(number, kSegmentEnding); }
std::string ManifestFileName(uint64_t number) { return NumberedName(number, kManifestEnding); }
std::string LogFileName(uint64_t number) { return NumberedName(number, kLogEnding); }

uint64_t ParseFileNumber(std::string_view name, std::string_view ending) {
  if (name.size() != kNumberDigits + ending.size() || !name.ends_with(ending)) return 0;
  return ParseDigits(name.substr(0, kNumberDigits));
}

}  // namespace fletching::format
