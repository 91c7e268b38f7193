#include "api/json_tree.h"

#include <unordered_set>
#include <utility>

#include "api/json_sax.h"

namespace fletching::api {
namespace {

using Kind = JsonNode::Kind;

// Builds the tree from the events of the parser. Finished nodes wait on a stack; closing an array
// or object takes its children off again.
class TreeHandler : public JsonEvents {
 public:
  bool OnObjectBegin() override { return Open(Kind::kObject); }
  bool OnArrayBegin() override { return Open(Kind::kArray); }
  bool OnObjectEnd() override { return Close(); }
  bool OnArrayEnd() override { return Close(); }
  bool OnName(std::string_view name) override {
    if (!seen_.back().emplace(name).second) {
      return Fail("member '" + std::string(name.substr(0, 128)) + "' occurs twice");
    }
    open_.back()->names.emplace_back(name);
    return true;
  }
  bool OnString(std::string_view text) override {
    Add(Kind::kString)->text = text;
    return true;
  }
  bool OnInt(int64_t value) override {
    Add(Kind::kInt)->integer = value;
    return true;
  }
  bool OnUint(uint64_t value) override {
    Add(Kind::kUint)->integer = static_cast<int64_t>(value);
    return true;
  }
  bool OnDouble(double value) override {
    Add(Kind::kDouble)->number = value;
    return true;
  }
  bool OnBool(bool value) override {
    Add(Kind::kBool)->boolean = value;
    return true;
  }
  bool OnNull() override {
    Add(Kind::kNull);
    return true;
  }

  JsonNode root;

 private:
  // Lifetime: valid until the next sibling is added, which happens only after it was closed.
  JsonNode* Add(Kind kind) {
    JsonNode* node = &root;
    if (!open_.empty()) node = &open_.back()->items.emplace_back();
    node->kind = kind;
    return node;
  }
  bool Open(Kind kind) {
    open_.push_back(Add(kind));
    seen_.emplace_back();
    return true;
  }
  bool Close() {
    open_.pop_back();
    seen_.pop_back();
    return true;
  }

  std::vector<JsonNode*> open_;
  std::vector<std::unordered_set<std::string>> seen_;  // names of each open object
};

}  // namespace

const JsonNode* JsonNode::Find(std::string_view name) const {
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return &items[i];
  }
  return nullptr;
}

std::string_view KindName(Kind kind) {
  switch (kind) {
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return "a boolean";
    case Kind::kInt:
    case Kind::kUint:
    case Kind::kDouble:
      return "a number";
    case Kind::kString:
      return "a string";
    case Kind::kArray:
      return "a list";
    case Kind::kObject:
      break;
  }
  return "an object";
}

Result<JsonNode> ParseJson(std::string_view text) {
  TreeHandler handler;
  ARROW_RETURN_NOT_OK(ParseJsonEvents(text, &handler));
  return std::move(handler.root);
}

}  // namespace fletching::api
