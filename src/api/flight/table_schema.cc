#include "api/flight/table_schema.h"

#include <string>
#include <utility>

#include "arrow/type.h"
#include "arrow/util/key_value_metadata.h"

#include "api/json_text.h"

namespace fletching::flight {
namespace {

std::string KeyText(const TableSchema& schema) {
  if (schema.key.size() == 1) return schema.key[0];
  std::string text;
  for (const std::string& name : schema.key) {
    text += text.empty() ? "[" : ",";
    api::AppendJsonString(&text, name);
  }
  return text + "]";
}

}  // namespace

std::shared_ptr<arrow::Schema> ArrowSchemaOf(const TableSchema& schema) {
  arrow::FieldVector fields;
  for (const ColumnSchema& column : schema.columns) {
    const bool nullable = column.nullable && !schema.IsKey(column.name);
    fields.push_back(arrow::field(column.name, column.type, nullable));
  }
  return arrow::schema(std::move(fields), arrow::key_value_metadata({"key"}, {KeyText(schema)}));
}

}  // namespace fletching::flight
