// What a statement would reach, before it runs: DuckDB parses it, and every table and function that
// it names is held against what is offered here.
//
// The database is closed to files and networks besides (duck/duck_database.h); this keeps out what
// that leaves open: settings, other people's tables, functions that take raw pointers.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fletching/status.h"

#include "duck/duck_database.h"

namespace fletching::sql {

// One SELECT, as DuckDB parsed it.
struct CheckedStatement {
  std::vector<std::string> tables;  // each once; those that WITH defines left out
};

// Errors: kInvalidArgument (it does not parse; several statements; anything but a SELECT),
// kForbidden naming the function or the place that is not offered.
Result<CheckedStatement> CheckStatement(duck::DuckConnection* connection, const std::string& text);

// The same from the tree that json_serialize_sql makes. For CheckStatement and its fuzzer.
Result<CheckedStatement> CheckTree(std::string_view tree);

}  // namespace fletching::sql
