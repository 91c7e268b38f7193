#include "api/schema_json.h"

#include <array>
#include <cmath>
#include <utility>

#include "arrow/type.h"

#include "api/json_text.h"
#include "api/json_tree.h"
#include "api/unit_text.h"
#include "base/nearest_name.h"

namespace fletching::api {
namespace {

using Kind = JsonNode::Kind;

constexpr char kFormKey[] = "http.schema_form";
constexpr char kSeedForm[] = "seed";
constexpr char kSeedListForm[] = "seed-list";

// One member of an object that must be of a kind; absent is fine. Errors: kInvalidArgument.
Result<const JsonNode*> Member(const JsonNode& object, std::string_view name, Kind kind,
                               std::string_view where) {
  const JsonNode* node = object.Find(name);
  if (node != nullptr && node->kind != kind) {
    return InvalidArgument(std::string(where) + "'" + std::string(name) + "' is " +
                           std::string(KindName(node->kind)) + "; it must be " +
                           std::string(KindName(kind)));
  }
  return node;
}

Status CheckMembers(const JsonNode& object, std::span<const std::string_view> known,
                    std::string_view where) {
  for (const std::string& name : object.names) {
    bool found = false;
    for (const std::string_view candidate : known) found |= candidate == name;
    if (found) continue;
    const std::string shown = name.substr(0, 128);
    return InvalidArgument(std::string(where) + "field '" + shown + "' is not known" +
                           DidYouMean(shown, known));
  }
  return Status::OK();
}

struct ParsedColumn {
  ColumnSchema schema;
  bool is_key = false;
};

// The fields that every form of a column shares. `where` starts errors: "column 'score': ".
Result<ParsedColumn> ParseColumn(const JsonNode& node, std::string_view where,
                                 std::span<const std::string_view> known) {
  if (!node.Is(Kind::kObject)) {
    return InvalidArgument(std::string(where) + "is " + std::string(KindName(node.kind)) +
                           "; it must be an object with a dtype");
  }
  ARROW_RETURN_NOT_OK(CheckMembers(node, known, where));
  ARROW_ASSIGN_OR_RAISE(const JsonNode* dtype, Member(node, "dtype", Kind::kString, where));
  if (dtype == nullptr) return InvalidArgument(std::string(where) + "has no dtype");
  ParsedColumn column;
  auto type = ParseTypeName(dtype->text);
  if (!type.ok()) return type.status().WithMessage(where, type.status().message());
  column.schema.type = type.MoveValueUnsafe();
  ARROW_ASSIGN_OR_RAISE(const JsonNode* nullable, Member(node, "nullable", Kind::kBool, where));
  if (nullable != nullptr) column.schema.nullable = nullable->boolean;
  ARROW_ASSIGN_OR_RAISE(const JsonNode* strict, Member(node, "strict", Kind::kBool, where));
  if (strict != nullptr) column.schema.strict = strict->boolean;
  ARROW_ASSIGN_OR_RAISE(const JsonNode* key, Member(node, "key", Kind::kBool, where));
  column.is_key = key != nullptr && key->boolean;
  return column;
}

Status ParseTtl(const JsonNode& root, TableSchema* schema) {
  const JsonNode* ttl = root.Find("ttl");
  if (ttl == nullptr) return Status::OK();
  if (ttl->Is(Kind::kInt) && ttl->integer >= 0) {
    schema->ttl_ms = ttl->integer;
    return Status::OK();
  }
  // 5.0 is a whole number too, for writers that know no other; above 2^53 they cannot mean it.
  if (ttl->Is(Kind::kDouble) && ttl->number >= 0 && ttl->number < 0x1p53 &&
      ttl->number == std::floor(ttl->number)) {
    schema->ttl_ms = static_cast<int64_t>(ttl->number);
    return Status::OK();
  }
  if (!ttl->Is(Kind::kString)) {
    return InvalidArgument("'ttl' must be text like \"30d\" or a whole number of milliseconds");
  }
  auto parsed = ParseDurationMs(ttl->text);
  if (!parsed.ok()) return parsed.status().WithMessage("'ttl': ", parsed.status().message());
  schema->ttl_ms = *parsed;
  return Status::OK();
}

// The top-level key of the seed forms. Names only; whether they are columns is a rule.
Status ParseSeedKey(const JsonNode& key, TableSchema* schema) {
  if (key.Is(Kind::kString)) {
    schema->key = {key.text};
    schema->metadata[kFormKey] = kSeedForm;
    return Status::OK();
  }
  if (!key.Is(Kind::kArray)) {
    return InvalidArgument("'key' must be a column name or a list of them");
  }
  for (const JsonNode& name : key.items) {
    if (!name.Is(Kind::kString)) return InvalidArgument("'key' must be a list of column names");
    schema->key.push_back(name.text);
  }
  schema->metadata[kFormKey] = kSeedListForm;
  return Status::OK();
}

Status ParseShape(const JsonNode& root, TableSchema* schema) {
  constexpr std::array<std::string_view, 3> kMembers = {"columns", "ttl", "event_time"};
  constexpr std::array<std::string_view, 4> kColumnMembers = {"dtype", "nullable", "key", "strict"};
  if (!root.Is(Kind::kObject)) {
    return InvalidArgument("a schema is an object with 'columns'");
  }
  const JsonNode* seed_key = root.Find("key");
  // Older clients may send members of their own at the top; the newer form refuses them.
  if (seed_key == nullptr) ARROW_RETURN_NOT_OK(CheckMembers(root, kMembers, ""));
  if (seed_key != nullptr) ARROW_RETURN_NOT_OK(ParseSeedKey(*seed_key, schema));
  ARROW_RETURN_NOT_OK(ParseTtl(root, schema));
  ARROW_ASSIGN_OR_RAISE(const JsonNode* event, Member(root, "event_time", Kind::kString, ""));
  if (event != nullptr) schema->event_time = event->text;
  ARROW_ASSIGN_OR_RAISE(const JsonNode* columns, Member(root, "columns", Kind::kObject, ""));
  if (columns == nullptr) return InvalidArgument("a schema is an object with 'columns'");
  for (size_t i = 0; i < columns->names.size(); ++i) {
    const std::string& name = columns->names[i];
    const std::string where = "column '" + name.substr(0, 128) + "': ";
    ARROW_ASSIGN_OR_RAISE(ParsedColumn column,
                          ParseColumn(columns->items[i], where, kColumnMembers));
    column.schema.name = name;
    if (column.is_key && seed_key != nullptr) {
      return InvalidArgument(where + "has \"key\": true, but the schema has a 'key' of its own; " +
                             "use one of the two");
    }
    if (column.is_key) schema->key.push_back(name);
    if (seed_key != nullptr) column.schema.strict = false;  // what the older servers' users expect
    schema->columns.push_back(std::move(column.schema));
  }
  return Status::OK();
}

Status CheckRules(TableSchema* schema) {
  const auto form = schema->metadata.find(kFormKey);
  const bool seed = form != schema->metadata.end();
  for (ColumnSchema& column : schema->columns) {
    if (!schema->IsKey(column.name)) continue;
    if (seed) column.nullable = false;  // implied there
    if (column.nullable) {
      return InvalidArgument("key column '" + column.name +
                             "' must say \"nullable\": false: keys are never null");
    }
    if (seed && form->second == kSeedForm && column.type->id() != arrow::Type::STRING) {
      return InvalidArgument("key column '" + column.name + "' is " + TypeName(*column.type) +
                             "; a schema with a single top-level 'key' takes utf8 there. Write "
                             "\"key\": true at the column for other types");
    }
  }
  return CheckSchema(*schema);
}

bool ShowsAsSeed(const TableSchema& schema, SchemaEcho echo) {
  if (echo != SchemaEcho::kCreated) return echo == SchemaEcho::kSeed;
  return schema.metadata.contains(kFormKey);
}

void AppendKey(std::string* out, const TableSchema& schema) {
  const auto form = schema.metadata.find(kFormKey);
  const bool list =
      schema.key.size() > 1 || (form != schema.metadata.end() && form->second == kSeedListForm);
  out->append("\"key\":");
  if (list) out->push_back('[');
  for (size_t i = 0; i < schema.key.size(); ++i) {
    if (i > 0) out->push_back(',');
    AppendJsonString(out, schema.key[i]);
  }
  out->append(list ? "]," : ",");
}

}  // namespace

SchemaOrFault ParseSchemaJson(std::string_view body) {
  SchemaOrFault answer;
  auto root = ParseJson(body);
  answer.status = root.status();
  answer.fault = SchemaFault::kSyntax;
  if (!answer.status.ok()) return answer;
  return ParseSchemaNode(*root);
}

SchemaOrFault ParseSchemaNode(const JsonNode& root) {
  SchemaOrFault answer;
  answer.status = ParseShape(root, &answer.schema);
  answer.fault = SchemaFault::kShape;
  if (!answer.status.ok()) return answer;
  answer.status = CheckRules(&answer.schema);
  answer.fault = SchemaFault::kRule;
  return answer;
}

namespace {

ColumnOrFault ParseOneColumn(std::string_view body, std::span<const std::string_view> known,
                             bool named) {
  ColumnOrFault answer;
  auto root = ParseJson(body);
  answer.status = root.status();
  answer.fault = SchemaFault::kSyntax;
  if (!answer.status.ok()) return answer;
  answer.fault = SchemaFault::kShape;
  auto parsed = ParseColumn(*root, "the column ", known);
  answer.status = parsed.status();
  if (!answer.status.ok()) return answer;
  answer.column = std::move(parsed->schema);
  if (!named) return answer;
  auto name = Member(*root, "name", Kind::kString, "");
  answer.status = name.status();
  if (answer.status.ok() && *name == nullptr) {
    answer.status = InvalidArgument("the column has no 'name'");
  }
  if (!answer.status.ok()) return answer;
  answer.column.name = (*name)->text;
  answer.fault = SchemaFault::kRule;  // the engine checks the name
  return answer;
}

}  // namespace

ColumnOrFault ParseColumnJson(std::string_view body) {
  constexpr std::array<std::string_view, 4> kMembers = {"name", "dtype", "nullable", "strict"};
  return ParseOneColumn(body, kMembers, true);
}

ColumnOrFault ParseWidenJson(std::string_view body) {
  constexpr std::array<std::string_view, 1> kMembers = {"dtype"};
  return ParseOneColumn(body, kMembers, false);
}

void AppendSchemaJson(std::string* out, const TableSchema& schema, SchemaEcho echo) {
  const bool seed = ShowsAsSeed(schema, echo);
  out->push_back('{');
  if (seed) AppendKey(out, schema);
  out->append("\"columns\":{");
  for (size_t i = 0; i < schema.columns.size(); ++i) {
    const ColumnSchema& column = schema.columns[i];
    if (i > 0) out->push_back(',');
    AppendJsonString(out, column.name);
    out->append(":{\"dtype\":");
    AppendJsonString(out, TypeName(*column.type));
    out->append(column.nullable ? ",\"nullable\":true" : ",\"nullable\":false");
    if (!seed) {
      out->append(schema.IsKey(column.name) ? ",\"key\":true" : ",\"key\":false");
      out->append(column.strict ? ",\"strict\":true" : ",\"strict\":false");
    }
    out->push_back('}');
  }
  out->push_back('}');
  // Only where they say something, and never to clients that refuse fields they do not know.
  if (echo != SchemaEcho::kHead) {
    if (schema.ttl_ms > 0) {
      out->append(",\"ttl\":\"").append(FormatDurationMs(schema.ttl_ms)).append("\"");
    }
    if (!schema.event_time.empty()) {
      out->append(",\"event_time\":");
      AppendJsonString(out, schema.event_time);
    }
  }
  out->push_back('}');
}

}  // namespace fletching::api
