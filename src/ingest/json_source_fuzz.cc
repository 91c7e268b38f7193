// Any bytes as the JSON body of a write to a table of every type.
#include <string_view>

#include "arrow/array.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"

#include "ingest/cast.h"
#include "ingest/sources.h"

namespace {

fletching::TableSchema EveryColumn() {
  fletching::TableSchema schema;
  for (const char* type :
       {"bool", "int8", "int64", "uint64", "float16", "float32", "float64", "utf8", "binary",
        "date32", "time32[ms]", "time64[us]", "timestamp[us]", "timestamp[ns, UTC]", "list<utf8>",
        "list<int32>", "fixed_size_list<float32>[2]"}) {
    schema.columns.push_back({.name = type, .type = *fletching::ParseTypeName(type)});
  }
  return schema;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  using namespace fletching::ingest;
  static const fletching::TableSchema schema = EveryColumn();
  const std::string_view body(reinterpret_cast<const char*>(data), bytes);
  for (const bool ignore_extra_columns : {false, true}) {
    const auto batch = ParseJsonColumns(body, schema, ignore_extra_columns);
    if (!batch.ok()) continue;
    if (!ValidateBatch(**batch).ok()) __builtin_trap();  // what we made must be sound
    (void)(*batch)->ToString();
  }
  return 0;
}
