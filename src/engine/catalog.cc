#include "engine/catalog.h"

#include <algorithm>
#include <cctype>

namespace fletching::engine {
namespace {

bool EqualAnyCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

}  // namespace

Result<std::shared_ptr<table::Table>> Catalog::Find(std::string_view name) const {
  const auto found = entries.find(name);
  if (found == entries.end()) return NotFound("table", name);
  if (found->second.table == nullptr) return found->second.health;
  return found->second.table;
}

const std::string* Catalog::FindAnyCase(std::string_view name) const {
  for (const auto& [existing, entry] : entries) {
    if (EqualAnyCase(existing, name)) return &existing;
  }
  return nullptr;
}

}  // namespace fletching::engine
