#include "api/json_request.h"

#include <string>

#include "arrow/array.h"
#include "arrow/type.h"
#include <gtest/gtest.h>

namespace fletching::api {
namespace {

TableSchema KeyedBy(std::vector<std::pair<std::string, std::shared_ptr<arrow::DataType>>> keys) {
  TableSchema schema;
  for (auto& [name, type] : keys) {
    schema.key.push_back(name);
    schema.columns.push_back({.name = name, .type = type, .nullable = false});
  }
  schema.columns.push_back({.name = "score", .type = arrow::float32()});
  return schema;
}

Result<KeyArrays> Keys(std::string_view body, const TableSchema& schema,
                       KeysBody what = KeysBody::kFetch) {
  ARROW_ASSIGN_OR_RAISE(JsonKeysRequest request, ParseKeysRequest(body, what));
  return ToKeyArrays(&request, schema);
}

std::string WhyNot(std::string_view body, const TableSchema& schema) {
  const auto keys = Keys(body, schema);
  if (keys.ok()) return "taken";
  EXPECT_EQ(CodeOf(keys.status()), ErrorCode::kInvalidArgument);
  return keys.status().message();
}

TEST(JsonRequest, ReadsTheListForm) {
  auto request = ParseKeysRequest(R"({"keys": ["a", "", "\u00e9\n"], "columns": ["x", "y"]})",
                                  KeysBody::kFetch);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->form, KeysForm::kList);
  EXPECT_EQ(*request->columns, (std::vector<std::string>{"x", "y"}));
  const auto keys = ToKeyArrays(&*request, KeyedBy({{"id", arrow::utf8()}}));
  ASSERT_TRUE(keys.ok()) << keys.status();
  const auto& ids = static_cast<const arrow::StringArray&>(*keys->at(0));
  ASSERT_TRUE(ids.ValidateFull().ok());
  ASSERT_EQ(ids.length(), 3);
  EXPECT_EQ(ids.GetView(0), "a");
  EXPECT_EQ(ids.GetView(1), "");
  EXPECT_EQ(ids.GetView(2), "\xC3\xA9\n");
}

TEST(JsonRequest, IgnoresOtherMembersInTheListFormOnly) {
  const std::string_view list =
      R"({"x": {"keys": [[1]]}, "keys": ["a"], "y": [1, {"z": null}], "columns": [], "w": 1.5})";
  EXPECT_TRUE(ParseKeysRequest(list, KeysBody::kFetch).ok());
  const auto map =
      ParseKeysRequest(R"({"keys": {"a": []}, "columns": [], "columnz": ["x"]})", KeysBody::kFetch);
  ASSERT_FALSE(map.ok());
  EXPECT_EQ(map.status().message(), "member 'columnz' of the body is not known");
}

TEST(JsonRequest, ReadsTheMapFormInAnyOrder) {
  const TableSchema schema = KeyedBy({{"user", arrow::utf8()}, {"item", arrow::int64()}});
  const auto keys = Keys(R"({"columns": ["score"], "keys": {"item": [1, -9223372036854775808],
               "user": ["u1", "u2"]}})",
                         schema);
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->at(0)->type_id(), arrow::Type::STRING);
  EXPECT_EQ(static_cast<const arrow::Int64Array&>(*keys->at(1)).Value(1), INT64_MIN);
}

TEST(JsonRequest, GivesKeysTheColumnsType) {
  const std::pair<std::shared_ptr<arrow::DataType>, const char*> cases[] = {
      {arrow::int8(), "[-128, 127]"},
      {arrow::int16(), "[-32768, 32767]"},
      {arrow::int32(), "[-2147483648, 2147483647]"},
      {arrow::int64(), "[-9223372036854775808, 9223372036854775807]"},
      {arrow::uint8(), "[0, 255]"},
      {arrow::uint16(), "[0, 65535]"},
      {arrow::uint32(), "[0, 4294967295]"},
      {arrow::uint64(), "[0, 18446744073709551615]"},
      {arrow::utf8(), "[\"\", \"x\"]"},
      {arrow::binary(), "[\"\", \"AP8=\"]"},
      {arrow::date32(), "[\"2024-02-29\", \"1969-12-31\"]"},
      {arrow::timestamp(arrow::TimeUnit::MICRO), "[\"2024-02-29T23:59:59.123456\", 5]"},
      {arrow::timestamp(arrow::TimeUnit::SECOND, "UTC"),
       "[\"2024-02-29T23:59:59Z\", \"1970-01-01T00:00:00Z\"]"},
  };
  for (const auto& [type, values] : cases) {
    const std::string body = std::string(R"({"columns": [], "keys": {"k": )") + values + "}}";
    const auto keys = Keys(body, KeyedBy({{"k", type}}));
    if (type->id() == arrow::Type::TIMESTAMP && body.find(", 5]") != std::string::npos) {
      EXPECT_FALSE(keys.ok());  // strings and numbers mixed
      continue;
    }
    ASSERT_TRUE(keys.ok()) << type->ToString() << ": " << keys.status();
    EXPECT_TRUE(keys->at(0)->type()->Equals(type)) << keys->at(0)->type()->ToString();
    EXPECT_EQ(keys->at(0)->length(), 2);
    EXPECT_TRUE(keys->at(0)->ValidateFull().ok());
    const auto none = Keys(R"({"columns": [], "keys": {"k": []}})", KeyedBy({{"k", type}}));
    ASSERT_TRUE(none.ok()) << none.status();
    EXPECT_TRUE(none->at(0)->type()->Equals(type));
  }
}

TEST(JsonRequest, RefusesNumbersThatDoNotFit) {
  const auto one = [](const std::shared_ptr<arrow::DataType>& type, const std::string& value) {
    return Keys(R"({"columns": [], "keys": {"k": [)" + value + "]}}", KeyedBy({{"k", type}})).ok();
  };
  EXPECT_FALSE(one(arrow::int8(), "128"));
  EXPECT_FALSE(one(arrow::int8(), "-129"));
  EXPECT_FALSE(one(arrow::uint8(), "-1"));
  EXPECT_FALSE(one(arrow::uint8(), "256"));
  EXPECT_FALSE(one(arrow::int64(), "9223372036854775808"));
  EXPECT_FALSE(one(arrow::uint64(), "18446744073709551616"));
  EXPECT_FALSE(one(arrow::uint64(), "18446744073709551615, -1"));
  EXPECT_FALSE(one(arrow::uint32(), "18446744073709551615"));
  EXPECT_FALSE(one(arrow::int64(), "1.0"));
  EXPECT_FALSE(one(arrow::int64(), "\"1\""));
  EXPECT_FALSE(one(arrow::utf8(), "1"));
}

TEST(JsonRequest, NamesWhatIsWrong) {
  const TableSchema text = KeyedBy({{"id", arrow::utf8()}});
  const TableSchema pair = KeyedBy({{"user", arrow::utf8()}, {"item", arrow::int64()}});
  EXPECT_EQ(WhyNot(R"([])", text), "the body is a list; it must be an object");
  EXPECT_EQ(WhyNot(R"({"columns": []})", text), "the body has no member 'keys'");
  EXPECT_EQ(WhyNot(R"({"keys": []})", text), "the body has no member 'columns'");
  EXPECT_EQ(WhyNot(R"({"keys": "a", "columns": []})", text),
            "keys is a string; it must be a list of strings, or an object of lists");
  EXPECT_EQ(WhyNot(R"({"keys": ["a", null], "columns": []})", text),
            "keys[1] is null; keys are strings or whole numbers, never null");
  EXPECT_EQ(WhyNot(R"({"keys": [["a"]], "columns": []})", text),
            "keys[0] is a list; keys are strings or whole numbers, never null");
  EXPECT_EQ(WhyNot(R"({"keys": {"user": ["a", 1]}, "columns": []})", pair),
            "keys.user[1] mixes strings and numbers");
  EXPECT_EQ(WhyNot(R"({"keys": {"user": "a"}, "columns": []})", pair),
            "keys.user is a string; it must be a list");
  EXPECT_EQ(WhyNot(R"({"keys": ["a"], "columns": [1]})", text),
            "columns must be a list of strings");
  EXPECT_EQ(WhyNot(R"({"keys": ["a"], "keys": ["b"], "columns": []})", text),
            "a member of the body occurs twice");
  EXPECT_EQ(WhyNot(R"({"keys": {"user": ["a"]}, "columns": []})", pair),
            "keys lack the key column 'item'");
  EXPECT_EQ(WhyNot(R"({"keys": {"user": ["a"], "item": [1], "score": [1]}, "columns": []})", pair),
            "'score' is no key column; the key is 'user', 'item'");
  EXPECT_EQ(WhyNot(R"({"keys": {"user": ["a"], "user": ["a"]}, "columns": []})", pair),
            "key column 'user' occurs twice");
  EXPECT_EQ(WhyNot(R"({"keys": {"user": ["a"], "item": [1, 2]}, "columns": []})", pair),
            "key columns differ in length: 'user' has 1 values, 'item' has 2");
  EXPECT_EQ(WhyNot(R"({"keys": ["a"], "columns": []})", pair),
            "a list of keys needs a table with one utf8 key column; this one is keyed by 'user', "
            "'item': send {\"keys\": {column: [values]}}");
}

TEST(JsonRequest, ReadsDeletes) {
  auto request =
      ParseKeysRequest(R"({"keys": {"id": ["a"]}, "event_time": -5})", KeysBody::kDelete);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->event_time_us, -5);
  EXPECT_FALSE(request->columns.has_value());
  EXPECT_FALSE(
      ParseKeysRequest(R"({"keys": {"id": ["a"]}, "columns": []})", KeysBody::kDelete).ok());
  EXPECT_FALSE(ParseKeysRequest(R"({"keys": ["a"], "event_time": "x"})", KeysBody::kDelete).ok());
  EXPECT_FALSE(ParseKeysRequest(R"({"keys": ["a"], "event_time": 1.5})", KeysBody::kDelete).ok());
}

TEST(JsonRequest, ReadsTickets) {
  const auto ticket = ParseKeysRequest(
      R"({"columns": ["score"], "table": "docs", "keys": {"id": ["a"]}})", KeysBody::kTicket);
  ASSERT_TRUE(ticket.ok()) << ticket.status();
  EXPECT_EQ(ticket->table, "docs");
  EXPECT_EQ(ticket->keys[0].text, "a");
  const auto why = [](std::string_view text) {
    return ParseKeysRequest(text, KeysBody::kTicket).status().message();
  };
  EXPECT_EQ(why(R"({"keys": ["a"], "columns": []})"), "the ticket has no member 'table'");
  EXPECT_EQ(why(R"({"table": 1, "keys": ["a"], "columns": []})"),
            "table is a number; it must be the table's name");
  EXPECT_EQ(why(R"({"table": "t", "table": "u", "keys": ["a"], "columns": []})"),
            "a member of the body occurs twice");
  // A body of HTTP says its table in the path.
  EXPECT_FALSE(
      ParseKeysRequest(R"({"table": "t", "keys": {"id": []}, "columns": []})", KeysBody::kFetch)
          .ok());
}

TEST(JsonRequest, RefusesEveryPrefixOfAGoodBody) {
  const std::string body = R"({"keys": {"user": ["a\u00e9"], "item": [12]}, "columns": ["score"]})";
  for (size_t length = 0; length < body.size(); ++length) {
    EXPECT_FALSE(ParseKeysRequest(body.substr(0, length), KeysBody::kFetch).ok()) << length;
  }
  EXPECT_TRUE(ParseKeysRequest(body, KeysBody::kFetch).ok());
}

}  // namespace
}  // namespace fletching::api
