// JSON bodies of fetches, deletes and schemas, tickets: any bytes end in an answer, never in a
// crash, and what was taken makes valid arrays.
#include "api/json_request.h"

#include <cstdint>
#include <string>
#include <string_view>

#include "arrow/array.h"
#include "arrow/type.h"

#include "api/json_tree.h"
#include "api/schema_json.h"
#include "base/check.h"

namespace {

using fletching::ColumnSchema;
using fletching::TableSchema;

TableSchema KeyedBy(const std::shared_ptr<arrow::DataType>& type) {
  TableSchema schema;
  schema.columns = {{.name = "k", .type = type, .nullable = false}};
  schema.key = {"k"};
  return schema;
}

void Keys(std::string_view body, fletching::api::KeysBody what) {
  for (const auto& type : {arrow::utf8(), arrow::int16(), arrow::uint64(), arrow::binary(),
                           arrow::date32(), arrow::timestamp(arrow::TimeUnit::NANO, "UTC")}) {
    auto request = fletching::api::ParseKeysRequest(body, what);
    if (!request.ok()) return;
    const auto keys = fletching::api::ToKeyArrays(&*request, KeyedBy(type));
    if (!keys.ok()) continue;
    for (const auto& key : *keys) {
      FLETCHING_CHECK(key->ValidateFull().ok());
      FLETCHING_CHECK(key->null_count() == 0);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  const std::string_view text(reinterpret_cast<const char*>(data), bytes);
  Keys(text, fletching::api::KeysBody::kFetch);
  Keys(text, fletching::api::KeysBody::kDelete);
  Keys(text, fletching::api::KeysBody::kTicket);
  const auto schema = fletching::api::ParseSchemaJson(text);
  if (schema.status.ok()) {
    // What was taken is shown in a form that is taken again, and then shown alike.
    std::string first;
    fletching::api::AppendSchemaJson(&first, schema.schema, fletching::api::SchemaEcho::kCreated);
    const auto again = fletching::api::ParseSchemaJson(first);
    FLETCHING_CHECK(again.status.ok());
    std::string second;
    fletching::api::AppendSchemaJson(&second, again.schema, fletching::api::SchemaEcho::kCreated);
    FLETCHING_CHECK(first == second);
  }
  (void)fletching::api::ParseColumnJson(text);
  return 0;
}
