#include "sql/statement_check.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <boost/json/basic_parser_impl.hpp>

namespace fletching::sql {
namespace {

namespace json = boost::json;
using json::error_code;
using json::string_view;

// Functions in FROM. Others read files, settings, what others asked, or memory by its address.
constexpr auto kTableFunctions = std::to_array<std::string_view>({
    "generate_series",
    "json_each",
    "json_tree",
    "range",
    "repeat",
    "repeat_row",
    "unnest",
});

// Of the others, those that tell about the process or change it.
constexpr auto kRefusedFunctions = std::to_array<std::string_view>({
    "current_connection_id",
    "current_query",
    "current_query_id",
    "current_setting",
    "currval",
    "getenv",
    "getvariable",
    "json_execute_serialized_sql",
    "nextval",
    "parse_duckdb_log_message",
    "sleep_ms",
    "write_log",
});

// What may stand in FROM.
constexpr auto kPlaces = std::to_array<std::string_view>({
    "BASE_TABLE",
    "EMPTY",
    "EMPTY_FROM",
    "EXPRESSION_LIST",
    "JOIN",
    "SUBQUERY",
    "TABLE_FUNCTION",
});

template <size_t n>
bool IsOneOf(std::string_view name, const std::array<std::string_view, n>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string Lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// Looks at each object of the tree when it ends, with its members that are text.
class TreeWalk {
 public:
  void BeginObject() { open_.push_back({next_name_, {}}); }
  void EndObject() {
    Look(open_.back());
    next_name_ = open_.back().name_in_parent;
    open_.pop_back();
  }
  void BeginArray() { arrays_.push_back(next_name_); }
  void EndArray() { arrays_.pop_back(); }
  void SetName(std::string_view name) { next_name_ = name; }
  void AddText(std::string text) {
    if (!open_.empty()) open_.back().texts[next_name_] = std::move(text);
  }
  void AddBool(bool yes) {
    if (!open_.empty() && next_name_ == "error") has_error_ = yes;
  }

  Result<CheckedStatement> Finish() const {
    if (has_error_) return InvalidArgument(error_);
    ARROW_RETURN_NOT_OK(refusal_);
    if (statement_count_ != 1) return InvalidArgument("one statement at a time, please");
    CheckedStatement checked;
    for (const auto& [lower, name] : tables_) {
      if (!with_names_.contains(lower)) checked.tables.push_back(name);
    }
    return checked;
  }

 private:
  struct Object {
    std::string name_in_parent;
    std::map<std::string, std::string> texts;
    const std::string& Text(const std::string& name) const {
      static const std::string none;
      const auto found = texts.find(name);
      return found == texts.end() ? none : found->second;
    }
  };

  void Refuse(std::string what) {
    if (refusal_.ok()) refusal_ = MakeError(ErrorCode::kForbidden, std::move(what));
  }

  void Look(const Object& object) {
    if (open_.size() == 1) {
      const std::string& message = object.Text("error_message");
      const bool is_syntax = object.Text("error_type") == "parser";
      error_ = message.starts_with("Only SELECT")
                   ? "only SELECT is possible here (and WITH, FROM, VALUES)"
                   : (is_syntax ? "Parser Error: " : "") + message;
      return;
    }
    if (open_.size() == 2 && object.name_in_parent == "statements") ++statement_count_;
    if (!arrays_.empty() && arrays_.back() == "map" && object.texts.contains("key")) {
      with_names_.insert(Lower(object.Text("key")));
    }
    if (object.texts.contains("cte_name")) with_names_.insert(Lower(object.Text("cte_name")));
    if (object.texts.contains("function_name")) LookAtFunction(object);
    if (object.name_in_parent == "from_table" || object.name_in_parent == "left" ||
        object.name_in_parent == "right" || object.texts.contains("table_name")) {
      LookAtPlace(object);
    }
  }

  void LookAtFunction(const Object& object) {
    const std::string name = Lower(object.Text("function_name"));
    const bool is_in_from = object.name_in_parent == "function";
    if (is_in_from ? !IsOneOf(name, kTableFunctions) : IsOneOf(name, kRefusedFunctions)) {
      Refuse("the function " + name + " is not offered here");
    }
  }

  void LookAtPlace(const Object& object) {
    const std::string& type = object.Text("type");
    // A comparison has a left and a right too, which are expressions and say so; so has a UNION.
    if (object.texts.contains("class") && !object.texts.contains("table_name")) return;
    if (type.ends_with("_NODE")) return;
    if (!IsOneOf(type, kPlaces)) {
      return Refuse(type == "SHOW_REF" ? "SHOW, DESCRIBE and SUMMARIZE are not offered here"
                                       : "FROM with " + type + " is not offered here");
    }
    if (type != "BASE_TABLE") return;
    const std::string& catalog = object.Text("catalog_name");
    const std::string& schema = object.Text("schema_name");
    const std::string& name = object.Text("table_name");
    if (!catalog.empty() || (!schema.empty() && Lower(schema) != "main")) {
      return Refuse("there is no schema " + (catalog.empty() ? schema : catalog) +
                    " here; a table is its name alone");
    }
    tables_.emplace(Lower(name), name);
  }

  std::vector<Object> open_;
  std::vector<std::string> arrays_;  // names of those that are open
  std::string next_name_;
  std::map<std::string, std::string> tables_;  // by their names in lower case
  std::set<std::string> with_names_;
  int statement_count_ = 0;
  bool has_error_ = false;
  std::string error_;
  Status refusal_ = Status::OK();
};

// What Boost.JSON's parser calls.
struct Bridge {
  static constexpr size_t max_object_size = static_cast<size_t>(-1);
  static constexpr size_t max_array_size = static_cast<size_t>(-1);
  static constexpr size_t max_key_size = static_cast<size_t>(-1);
  static constexpr size_t max_string_size = static_cast<size_t>(-1);

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code&) { return walk.BeginObject(), true; }
  bool on_object_end(size_t, error_code&) { return walk.EndObject(), true; }
  bool on_array_begin(error_code&) { return walk.BeginArray(), true; }
  bool on_array_end(size_t, error_code&) { return walk.EndArray(), true; }
  bool on_key_part(string_view text, size_t, error_code&) { return Keep(text); }
  bool on_key(string_view text, size_t, error_code&) {
    Keep(text);
    walk.SetName(parts);
    parts.clear();
    return true;
  }
  bool on_string_part(string_view text, size_t, error_code&) { return Keep(text); }
  bool on_string(string_view text, size_t, error_code&) {
    Keep(text);
    walk.AddText(std::move(parts));
    parts.clear();
    return true;
  }
  bool on_number_part(string_view, error_code&) { return true; }
  bool on_int64(int64_t, string_view, error_code&) { return true; }
  bool on_uint64(uint64_t, string_view, error_code&) { return true; }
  bool on_double(double, string_view, error_code&) { return true; }
  bool on_bool(bool value, error_code&) { return walk.AddBool(value), true; }
  bool on_null(error_code&) { return true; }
  bool on_comment_part(string_view, error_code&) { return true; }
  bool on_comment(string_view, error_code&) { return true; }

  bool Keep(string_view text) {
    parts.append(text.data(), text.size());
    return true;
  }

  TreeWalk walk;
  std::string parts;
};

}  // namespace

Result<CheckedStatement> CheckTree(std::string_view tree) {
  json::parse_options options;
  options.max_depth = 4096;
  json::basic_parser<Bridge> parser(options);
  error_code ec;
  parser.write_some(false, tree.data(), tree.size(), ec);
  if (ec) return InvalidArgument("the statement is nested too deeply");
  return parser.handler().walk.Finish();
}

Result<CheckedStatement> CheckStatement(duck::DuckConnection* connection, const std::string& text) {
  // Where one parser would stop, another might go on.
  if (text.find('\0') != std::string::npos) return InvalidArgument("SQL has no NUL in it");
  ARROW_ASSIGN_OR_RAISE(
      const auto rows,
      connection->Query("SELECT json_serialize_sql($1::VARCHAR)::VARCHAR", {{"1", {text}}}));
  ARROW_ASSIGN_OR_RAISE(const auto batch, rows->Next());
  if (batch == nullptr || batch->num_rows() != 1) return InvalidArgument("there is no statement");
  const auto& trees = static_cast<const arrow::StringArray&>(*batch->column(0));
  return CheckTree(trees.GetView(0));
}

}  // namespace fletching::sql
