// Which tables there are: an immutable map, replaced as a whole, so that finding a table takes no
// lock either.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "fletching/status.h"

#include "table/published.h"
#include "table/table.h"

namespace fletching::engine {

struct CatalogEntry {
  std::shared_ptr<table::Table> table;  // null when damaged
  std::string folder;
  Status health;
};

class Catalog final : public table::Published {
 public:
  std::map<std::string, CatalogEntry, std::less<>> entries;  // by name

  // Errors: kNotFound; the table's own damage.
  Result<std::shared_ptr<table::Table>> Find(std::string_view name) const;
  // The existing name that equals `name` but for case, or nullptr.
  const std::string* FindAnyCase(std::string_view name) const;
};

}  // namespace fletching::engine
