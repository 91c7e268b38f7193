// The lines that describe a file, gathered part by part. Every part may be damaged or missing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "fletching/request.h"

#include "base/bytes.h"

namespace fletching::format {

class Inspection {
 public:
  // The first line is the file's own: its kind, its length, and the first problem there is.
  // bytes: may turn into zeros at any moment, as a mapping does whose disk fails.
  Inspection(ByteSpan bytes, std::string kind, bool show_all);

  InspectReport Take() { return std::move(report_); }
  ByteSpan bytes() const { return bytes_; }
  void SetSummary(std::string text) { report_.lines[0].value = std::move(text); }

  void Add(int32_t depth, std::string name, uint64_t offset, uint64_t size, std::string type,
           std::string value);
  // Of the line added last, and of the file if it is the first.
  void Problem(uint64_t offset, std::string_view what);
  // A line for a struct and one for each field as far as the file reaches; its magic and checksum,
  // if it has them, are compared. magic: 0 = it has none.
  // Returns whether it is whole and as it was written.
  bool AddStruct(int32_t depth, std::string name, uint64_t offset, const std::string& struct_name,
                 uint64_t magic = 0);
  // Whether the file holds these bytes; a problem if not.
  bool Holds(uint64_t offset, uint64_t size);
  // Whether entry `index` of a long table is to be shown.
  bool Shows(uint64_t index) const { return show_all_ || index < 10; }
  // After the entries that were shown.
  void AddRest(int32_t depth, uint64_t count);

 private:
  const ByteSpan bytes_;
  const bool show_all_;
  InspectReport report_;
};

// On one line: quotes around it, control characters escaped, long ones cut.
std::string Quoted(std::string_view text);
std::string Hex(uint64_t value);

}  // namespace fletching::format
