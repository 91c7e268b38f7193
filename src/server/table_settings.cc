#include "server/table_settings.h"

#include <charconv>
#include <functional>
#include <map>

#include <yaml-cpp/yaml.h>

#include "api/unit_text.h"
#include "base/nearest_name.h"

namespace fletching::server {
namespace {

using pull::PulledTable;
using pull::SourceSpec;

// A reader of one member: where it stands in the file is known to whoever calls it.
using Read = std::function<Status(const YAML::Node& node)>;
using Members = std::map<std::string, Read, std::less<>>;

class TablesReader {
 public:
  explicit TablesReader(std::string file) : file_(std::move(file)) {}

  Result<std::vector<PulledTable>> Run(const YAML::Node& tables) {
    std::vector<PulledTable> read;
    if (tables.IsNull()) return read;
    if (!tables.IsMap()) return At(tables, "tables", "it must be a map of tables by name");
    for (const auto& entry : tables) {
      PulledTable& table = read.emplace_back();
      table.name = entry.first.Scalar();
      const std::string path = "tables." + table.name;
      const Status name = CheckName("table", table.name);
      if (!name.ok()) return At(entry.first, path, name.message());
      ARROW_RETURN_NOT_OK(ReadTable(entry.second, path, &table));
      const Status sound = CheckSchema(table.schema);
      if (!sound.ok()) return At(entry.first, path, sound.message());
    }
    return read;
  }

 private:
  Status At(const YAML::Node& node, const std::string& path, const std::string& what) const {
    return InvalidArgument(file_ + ":" + std::to_string(node.Mark().line + 1) + ": " + path + ": " +
                           what);
  }

  // Every member of `node` by its reader; `required` must be there.
  Status ReadMembers(const YAML::Node& node, const std::string& path, const Members& members,
                     const std::vector<std::string>& required) const {
    if (!node.IsMap()) return At(node, path, "it must be a map");
    std::vector<std::string_view> known;
    for (const auto& [name, read] : members) known.push_back(name);
    for (const auto& entry : node) {
      const std::string name = entry.first.Scalar();
      const auto member = members.find(name);
      if (member == members.end()) {
        return At(entry.first, path, "'" + name + "' is not known" + DidYouMean(name, known));
      }
      const Status status = member->second(entry.second);
      if (!status.ok() && status.message().starts_with(file_)) return status;
      if (!status.ok()) return At(entry.second, path + "." + name, status.message());
    }
    for (const std::string& name : required) {
      if (!node[name]) return At(node, path, "'" + name + "' is missing");
    }
    return Status::OK();
  }

  static Result<std::string> Text(const YAML::Node& node) {
    if (!node.IsScalar()) return InvalidArgument("it must be a single value");
    return node.Scalar();
  }
  static Read TextInto(std::string* out) {
    return [out](const YAML::Node& node) { return Text(node).Value(out); };
  }
  template <typename T>
  static Read NumberInto(T* out, T least, T most) {
    return [out, least, most](const YAML::Node& node) -> Status {
      ARROW_ASSIGN_OR_RAISE(const std::string text, Text(node));
      T number{};
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (error != std::errc() || end != text.data() + text.size() || number < least ||
          number > most) {
        return InvalidArgument("'" + text + "' is no number from " + std::to_string(least) +
                               " to " + std::to_string(most));
      }
      *out = number;
      return Status::OK();
    };
  }
  static Read FlagInto(bool* out) {
    return [out](const YAML::Node& node) -> Status {
      ARROW_ASSIGN_OR_RAISE(const std::string text, Text(node));
      if (text != "true" && text != "false") {
        return InvalidArgument("'" + text + "' is neither true nor false");
      }
      *out = text == "true";
      return Status::OK();
    };
  }

  static Result<pull::Layout> LayoutNamed(const std::string& text) {
    if (text == "dated") return pull::Layout::kDated;
    if (text == "plain") return pull::Layout::kPlain;
    if (text == "hive") return pull::Layout::kHive;
    return InvalidArgument("'" + text + "' is none of dated, plain and hive");
  }

  Status ReadTable(const YAML::Node& node, const std::string& path, PulledTable* table) const {
    const Members members = {
        {"source", [&](const YAML::Node& n) { return ReadSource(n, path + ".source", table); }},
        {"poll_interval",
         [&](const YAML::Node& n) -> Status {
           ARROW_ASSIGN_OR_RAISE(const std::string text, Text(n));
           ARROW_ASSIGN_OR_RAISE(table->poll_interval_ms, api::ParseDurationMs(text));
           return table->poll_interval_ms > 0 ? Status::OK() : InvalidArgument("0 is no interval");
         }},
        {"parts", NumberInto<int32_t>(&table->parts, 1, 256)},
        {"min_rows_ratio", NumberInto<double>(&table->min_rows_ratio, 0, 1)},
        {"layout",
         [&](const YAML::Node& n) -> Status {
           ARROW_ASSIGN_OR_RAISE(const std::string text, Text(n));
           return LayoutNamed(text).Value(&table->layout);
         }},
        {"key", [&](const YAML::Node& n) { return ReadKey(n, table); }},
        {"ttl",
         [&](const YAML::Node& n) -> Status {
           ARROW_ASSIGN_OR_RAISE(const std::string text, Text(n));
           return api::ParseDurationMs(text).Value(&table->schema.ttl_ms);
         }},
        {"event_time", TextInto(&table->schema.event_time)},
        {"columns", [&](const YAML::Node& n) { return ReadColumns(n, path + ".columns", table); }},
    };
    ARROW_RETURN_NOT_OK(ReadMembers(node, path, members, {"source", "key", "columns"}));
    if (table->source.kind == SourceSpec::Kind::kIceberg) {
      if (node["layout"]) return At(node["layout"], path + ".layout", "an Iceberg table has none");
      table->layout = pull::Layout::kPlain;
    }
    for (ColumnSchema& column : table->schema.columns) {
      if (table->schema.IsKey(column.name)) column.nullable = false;
    }
    return Status::OK();
  }

  Status ReadSource(const YAML::Node& node, const std::string& path, PulledTable* table) const {
    SourceSpec& source = table->source;
    const Members s3 = {{"bucket", TextInto(&source.bucket)},
                        {"prefix", TextInto(&source.prefix)},
                        {"region", TextInto(&source.region)},
                        {"endpoint", TextInto(&source.endpoint)}};
    const Members local = {{"path", TextInto(&source.path)}};
    const Members kinds = {
        {"s3",
         [&](const YAML::Node& n) {
           source.kind = SourceSpec::Kind::kS3;
           return ReadMembers(n, path + ".s3", s3, {"bucket"});
         }},
        {"local",
         [&](const YAML::Node& n) {
           source.kind = SourceSpec::Kind::kLocal;
           return ReadMembers(n, path + ".local", local, {"path"});
         }},
        {"iceberg",
         [&](const YAML::Node& n) { return ReadIceberg(n, path + ".iceberg", &source); }},
    };
    ARROW_RETURN_NOT_OK(ReadMembers(node, path, kinds, {}));
    if (node.size() != 1) return At(node, path, "it must be one of s3, local and iceberg");
    return Status::OK();
  }

  Status ReadIceberg(const YAML::Node& node, const std::string& path, SourceSpec* source) const {
    source->kind = SourceSpec::Kind::kIceberg;
    const Members members = {
        {"metadata", TextInto(&source->path)},
        {"table", TextInto(&source->table)},
        {"catalog",
         [&](const YAML::Node& n) -> Status {
           if (!n.IsMap()) return InvalidArgument("it must be a map of pyiceberg's properties");
           for (const auto& entry : n) {
             ARROW_ASSIGN_OR_RAISE(source->catalog[entry.first.Scalar()], Text(entry.second));
           }
           return Status::OK();
         }},
        {"region", TextInto(&source->region)},
        {"endpoint", TextInto(&source->endpoint)},
        {"timeout",
         [&](const YAML::Node& n) -> Status {
           ARROW_ASSIGN_OR_RAISE(const std::string text, Text(n));
           ARROW_ASSIGN_OR_RAISE(source->silence_ms_max, api::ParseDurationMs(text));
           return source->silence_ms_max > 0 ? Status::OK() : InvalidArgument("0 is no time");
         }},
    };
    ARROW_RETURN_NOT_OK(ReadMembers(node, path, members, {}));
    if (source->table.empty() != source->catalog.empty() ||
        source->path.empty() == source->table.empty()) {
      return At(node, path, "it needs 'metadata', or 'table' and 'catalog'");
    }
    return Status::OK();
  }

  static Status ReadKey(const YAML::Node& node, PulledTable* table) {
    if (node.IsScalar()) {
      table->schema.key = {node.Scalar()};
      return Status::OK();
    }
    if (!node.IsSequence()) return InvalidArgument("it must be a column or a list of columns");
    for (const auto& name : node) {
      ARROW_ASSIGN_OR_RAISE(std::string text, Text(name));
      table->schema.key.push_back(std::move(text));
    }
    return Status::OK();
  }

  Status ReadColumns(const YAML::Node& node, const std::string& path, PulledTable* table) const {
    if (!node.IsMap()) return At(node, path, "it must be a map of columns by name");
    for (const auto& entry : node) {
      ColumnSchema column;
      column.name = entry.first.Scalar();
      const Members members = {
          {"dtype",
           [&](const YAML::Node& n) -> Status {
             ARROW_ASSIGN_OR_RAISE(const std::string text, Text(n));
             return ParseTypeName(text).Value(&column.type);
           }},
          {"nullable", FlagInto(&column.nullable)},
          {"strict", FlagInto(&column.strict)},
      };
      ARROW_RETURN_NOT_OK(ReadMembers(entry.second, path + "." + column.name, members, {"dtype"}));
      table->schema.columns.push_back(std::move(column));
    }
    return Status::OK();
  }

  const std::string file_;
};

}  // namespace

Result<std::vector<PulledTable>> ReadTableSettings(const std::string& file) {
  try {
    const YAML::Node root = YAML::LoadFile(file);
    if (!root.IsMap() || !root["tables"]) return std::vector<PulledTable>{};
    return TablesReader(file).Run(root["tables"]);
  } catch (const YAML::Exception& error) {
    return InvalidArgument(file + ":" + std::to_string(error.mark.line + 1) + ": " + error.msg);
  }
}

}  // namespace fletching::server
