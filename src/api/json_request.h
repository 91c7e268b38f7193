// The JSON body of a fetch or delete, or a Flight ticket -> keys and column names. Stage: parse.
//
// Two forms of keys, and the form decides the shape of the answer (docs/protocol.md):
//   {"keys": ["a", "b"], ...}                    list: one utf8 key column; dense answer
//   {"keys": {"user": ["u"], "item": [1]}, ...}  map: every key column by name; sparse answer
//
// One pass over the text, no tree. Does not know the table's schema until ToKeyArrays.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fletching/request.h"
#include "fletching/schema.h"
#include "fletching/status.h"

namespace fletching::api {

// Values of one key column as they stood in the body: all strings or all whole numbers.
struct JsonKeyColumn {
  enum class Kind : uint8_t { kEmpty, kText, kWhole };

  std::string name;  // empty in the list form
  Kind kind = Kind::kEmpty;
  std::string text;                 // kText: the strings end to end
  std::vector<int32_t> ends = {0};  // kText: offsets into `text`, one more than values
  std::vector<int64_t> whole;       // kWhole: values above INT64_MAX as bits, see `above_int64`
  bool has_negative = false;
  bool above_int64 = false;

  int64_t count() const;
};

enum class KeysForm : uint8_t { kList, kMap };

struct JsonKeysRequest {
  KeysForm form = KeysForm::kList;
  std::vector<JsonKeyColumn> keys;                  // one in the list form
  std::optional<std::vector<std::string>> columns;  // absent when the body has none
  std::optional<int64_t> event_time_us;             // of a delete
  std::string table;                                // of a ticket
};

// kTicket: a fetch that names its table, as Flight sends it.
enum class KeysBody : uint8_t { kFetch, kDelete, kTicket };

// Errors: kInvalidArgument naming the member and position: not JSON, keys missing, null or nested
// keys, strings and numbers mixed, unknown members (map form only; the list form ignores them).
Result<JsonKeysRequest> ParseKeysRequest(std::string_view body, KeysBody what);

// Arrays in the order of schema.key and of the key columns' types. Takes the texts out of
// `request`. Errors: kInvalidArgument: key columns missing or too many, unequal lengths, values
// that do not fit the type, a list where the key is not one utf8 column.
Result<KeyArrays> ToKeyArrays(JsonKeysRequest* request, const TableSchema& schema);

}  // namespace fletching::api
