#include "api/http/openapi.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

#include "api/http/router.h"
#include "api/json_tree.h"

namespace fletching::http {
namespace {

using api::JsonNode;

JsonNode Document() {
  auto parsed = api::ParseJson(OpenApiText());
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ValueOr(JsonNode{});
}

std::string Line(const std::string& method, const std::string& path, const std::string& id) {
  return method + " " + path + " = " + id;
}

TEST(OpenApi, DescribesEveryRouteAndNoOther) {
  std::set<std::string> served;
  for (const Route& route : Routes()) {
    std::string method(MethodName(route.method));
    for (char& letter : method) letter = static_cast<char>(letter - 'A' + 'a');
    served.insert(Line(method, std::string(route.pattern), std::string(route.operation_id)));
  }
  std::set<std::string> described;
  const JsonNode document = Document();
  const JsonNode& paths = *document.Find("paths");
  for (size_t i = 0; i < paths.names.size(); ++i) {
    const JsonNode& methods = paths.items[i];
    for (size_t j = 0; j < methods.names.size(); ++j) {
      described.insert(
          Line(methods.names[j], paths.names[i], methods.items[j].Find("operationId")->text));
    }
  }
  EXPECT_EQ(described, served);
}

const JsonNode* OperationOf(const JsonNode& document, const Route& route) {
  std::string method(MethodName(route.method));
  for (char& letter : method) letter = static_cast<char>(letter - 'A' + 'a');
  return document.Find("paths")->Find(route.pattern)->Find(method);
}

TEST(OpenApi, RoutesThatTakeABodySaySo) {
  const JsonNode document = Document();
  for (const Route& route : Routes()) {
    const JsonNode* operation = OperationOf(document, route);
    ASSERT_NE(operation, nullptr);
    EXPECT_EQ(operation->Find("requestBody") != nullptr, route.body != BodyKind::kNone)
        << route.operation_id;
  }
}

TEST(OpenApi, SaysWhoIsLetIn) {
  const JsonNode document = Document();
  for (const Route& route : Routes()) {
    const JsonNode* operation = OperationOf(document, route);
    ASSERT_NE(operation, nullptr);
    const JsonNode* responses = operation->Find("responses");
    const bool open = route.need == access::Need::kOpen;
    EXPECT_EQ(operation->Find("security") != nullptr, open) << route.operation_id;
    EXPECT_EQ(responses->Find("401") == nullptr, open) << route.operation_id;
    const bool asks = route.operation_id == "query" || route.operation_id == "sql";  // itself
    EXPECT_EQ(responses->Find("403") != nullptr, asks || route.need >= access::Need::kRead)
        << route.operation_id;
  }
  EXPECT_EQ(document.Find("security")->items.size(), 2u);
  const auto without_keys = api::ParseJson(OpenApiText(/*with_keys=*/false));
  ASSERT_TRUE(without_keys.ok()) << without_keys.status();
  EXPECT_TRUE(without_keys->Find("security")->items.empty());
}

// Objects in answers list all their members, so that a client may be generated from them.
void ExpectClosed(const JsonNode& schema, const std::string& where) {
  const JsonNode* properties = schema.Find("properties");
  if (properties != nullptr) {
    const JsonNode* closed = schema.Find("additionalProperties");
    EXPECT_TRUE(closed != nullptr && closed->Is(JsonNode::Kind::kBool) && !closed->boolean)
        << where;
  }
  for (size_t i = 0; i < schema.items.size(); ++i) {
    const std::string name = i < schema.names.size() ? schema.names[i] : std::to_string(i);
    ExpectClosed(schema.items[i], where + "." + name);
  }
}

TEST(OpenApi, ClosesEverySchemaOfAnAnswer) {
  const JsonNode document = Document();
  const JsonNode& schemas = *document.Find("components")->Find("schemas");
  for (size_t i = 0; i < schemas.names.size(); ++i) {
    const std::string& name = schemas.names[i];
    const bool of_a_request = name.ends_with("Request") || name.ends_with("Delete");
    if (!of_a_request) ExpectClosed(schemas.items[i], name);
  }
}

TEST(OpenApi, EveryReferenceLeadsSomewhere) {
  const JsonNode document = Document();
  const std::string text(OpenApiText());
  for (size_t at = text.find("\"#/"); at != std::string::npos; at = text.find("\"#/", at + 1)) {
    std::string path = text.substr(at + 3, text.find('"', at + 1) - at - 3);
    const JsonNode* node = &document;
    while (!path.empty() && node != nullptr) {
      const size_t slash = std::min(path.find('/'), path.size());
      node = node->Find(path.substr(0, slash));
      path.erase(0, slash + 1);
    }
    EXPECT_NE(node, nullptr) << text.substr(at, 60);
  }
}

}  // namespace
}  // namespace fletching::http
