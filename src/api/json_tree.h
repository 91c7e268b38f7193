// A JSON document as a tree, for the small ones: schemas, settings, answers in tests.
// Keys of requests go through json_request.h instead, which builds no tree.
//
// Members keep their order; a name that occurs twice in one object is an error, because the two
// readers of a document would otherwise disagree about which one counts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fletching/status.h"

namespace fletching::api {

struct JsonNode {
  enum class Kind : uint8_t { kNull, kBool, kInt, kUint, kDouble, kString, kArray, kObject };

  Kind kind = Kind::kNull;
  bool boolean = false;
  int64_t integer = 0;             // kInt; kUint only above INT64_MAX, then as bits
  double number = 0;               // kDouble
  std::string text;                // kString
  std::vector<std::string> names;  // kObject: names[i] is the name of items[i]
  std::vector<JsonNode> items;     // kArray, kObject

  bool Is(Kind wanted) const { return kind == wanted; }
  // nullptr when this is no object or has no such member. Lifetime: that of this node.
  const JsonNode* Find(std::string_view name) const;
};

// "an object", "a string": how a kind is called in errors.
std::string_view KindName(JsonNode::Kind kind);

// Errors: kInvalidArgument naming the byte where the text stops being JSON; nesting above 32.
Result<JsonNode> ParseJson(std::string_view text);

}  // namespace fletching::api
