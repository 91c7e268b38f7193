// The fields of our structs by name: what docs/format.md is compared with, and what `inspect`
// prints.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace fletching::format {

struct Field {
  std::string name;
  std::string type;  // "u64", "i32", "u16[10]"
  size_t offset = 0;
  size_t size = 0;
  bool operator==(const Field&) const = default;
};

// By the name of the struct, in the order of their bytes.
const std::map<std::string, std::vector<Field>>& Structs();

}  // namespace fletching::format
