// Table schemas as JSON, in the three forms in which clients write them. Stages: parse, render.
//
//   head       {"columns": {"id": {"dtype": "utf8", "key": true, "nullable": false}, ...}}
//   seed       {"key": "id", "columns": {...}}         one utf8 key column, named at the top
//   seed list  {"key": ["a", "b"], "columns": {...}}
//
// The form of the creation is kept in TableSchema::metadata and decides how the schema is shown.
// "ttl" ("30d", or milliseconds) and "event_time" (a column's name) may stand beside "columns".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fletching/schema.h"
#include "fletching/status.h"

namespace fletching::api {

struct JsonNode;

// Which form answers show. The two generations of clients each fail on the other's form, so a
// server that serves only one of them can say so.
enum class SchemaEcho : uint8_t { kCreated, kHead, kSeed };

// Why a document is no schema: kSyntax is no JSON (400), kShape has unknown or wrongly typed
// members (422), kRule breaks a rule of tables (400).
enum class SchemaFault : uint8_t { kSyntax, kShape, kRule };

struct SchemaOrFault {
  TableSchema schema;
  Status status;  // not OK: `fault` says of what kind, `schema` is unfinished
  SchemaFault fault = SchemaFault::kRule;
};

SchemaOrFault ParseSchemaJson(std::string_view body);
// The same of a part of a larger document.
SchemaOrFault ParseSchemaNode(const JsonNode& root);

struct ColumnOrFault {
  ColumnSchema column;
  Status status;
  SchemaFault fault = SchemaFault::kRule;
};

// {"name": "price", "dtype": "float32", "nullable": true, "strict": true}: a column to add.
ColumnOrFault ParseColumnJson(std::string_view body);

// {"dtype": "int64"}: what an existing column is widened to. Only `column.type` is set.
ColumnOrFault ParseWidenJson(std::string_view body);

void AppendSchemaJson(std::string* out, const TableSchema& schema, SchemaEcho echo);

// Sparse answers carry the position of each row under this name, so no column may have it.
inline constexpr std::string_view kIndexColumn = "_idx";

}  // namespace fletching::api
