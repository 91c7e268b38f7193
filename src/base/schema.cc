#include "fletching/schema.h"

#include <algorithm>
#include <set>

#include "arrow/type.h"
#include "arrow/type_traits.h"

namespace fletching {
namespace {

// An embedding of 64 Ki float64 is half a megabyte a row; nobody means more.
constexpr int32_t kListSizeMax = 65536;
constexpr size_t kNameBytesMax = 128;

bool IsNumber(const arrow::DataType& type) {
  return arrow::is_integer(type.id()) || arrow::is_floating(type.id());
}

bool IsLetterOrDigit(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
         (letter >= '0' && letter <= '9');
}

std::string LowerCase(std::string_view name) {
  std::string lower(name);
  for (char& letter : lower) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  return lower;
}

// For error messages: short, and without bytes that would break a line or a terminal.
std::string Shown(std::string_view name) {
  constexpr size_t kShownBytesMax = 64;
  std::string text;
  for (char letter : name.substr(0, kShownBytesMax)) {
    text += letter >= ' ' && letter <= '~' ? letter : '?';
  }
  if (name.size() > kShownBytesMax) text += "...";
  return text;
}

int BitWidth(const arrow::DataType& type) {
  return static_cast<const arrow::FixedWidthType&>(type).bit_width();
}

bool IsIntegerWidening(const arrow::DataType& from, const arrow::DataType& to) {
  const bool from_signed = arrow::is_signed_integer(from.id());
  const bool to_signed = arrow::is_signed_integer(to.id());
  if (from_signed && !to_signed) return false;
  return BitWidth(from) < BitWidth(to);
}

Status CheckColumn(const TableSchema& schema, const ColumnSchema& column) {
  ARROW_RETURN_NOT_OK(CheckName("column", column.name));
  const std::string label = "column '" + column.name + "'";
  if (column.type == nullptr) return InvalidArgument(label + " has no type");
  if (const Status status = CheckType(*column.type); !status.ok()) {
    return InvalidArgument(label + ": " + status.message());
  }
  if (!schema.IsKey(column.name)) return Status::OK();
  if (const Status status = CheckKeyType(*column.type); !status.ok()) {
    return InvalidArgument(label + ": " + status.message());
  }
  return Status::OK();
}

Status CheckKey(const TableSchema& schema) {
  if (schema.key.empty()) return InvalidArgument("a table needs at least one key column");
  std::set<std::string_view> seen;
  for (const std::string& name : schema.key) {
    if (schema.Find(name) == nullptr) {
      return InvalidArgument("key column '" + Shown(name) + "' is not among the columns");
    }
    if (!seen.insert(name).second) {
      return InvalidArgument("key column '" + name + "' is given twice");
    }
  }
  return Status::OK();
}

Status CheckEventTime(const TableSchema& schema) {
  if (schema.event_time.empty()) return Status::OK();
  const ColumnSchema* column = schema.Find(schema.event_time);
  if (column == nullptr) {
    return InvalidArgument("event time column '" + Shown(schema.event_time) +
                           "' is not among the columns");
  }
  if (column->type->id() != arrow::Type::TIMESTAMP) {
    return InvalidArgument("event time column '" + column->name + "' must be a timestamp, not " +
                           TypeName(*column->type));
  }
  return Status::OK();
}

}  // namespace

const ColumnSchema* TableSchema::Find(std::string_view name) const {
  for (const ColumnSchema& column : columns) {
    if (column.name == name) return &column;
  }
  return nullptr;
}

bool TableSchema::IsKey(std::string_view name) const {
  return std::find(key.begin(), key.end(), name) != key.end();
}

std::vector<std::string> TableSchema::ValueColumnNames() const {
  std::vector<std::string> names;
  for (const ColumnSchema& column : columns) {
    if (!IsKey(column.name)) names.push_back(column.name);
  }
  return names;
}

Status CheckType(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::BOOL:
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
    case arrow::Type::DATE32:
    case arrow::Type::TIME32:
    case arrow::Type::TIME64:
    case arrow::Type::TIMESTAMP:
      return Status::OK();
    case arrow::Type::LIST: {
      const arrow::DataType& value = *static_cast<const arrow::ListType&>(type).value_type();
      if (IsNumber(value) || value.id() == arrow::Type::STRING) return Status::OK();
      return Unsupported("lists hold numbers or utf8, not " + TypeName(value));
    }
    case arrow::Type::FIXED_SIZE_LIST: {
      const auto& list = static_cast<const arrow::FixedSizeListType&>(type);
      if (!IsNumber(*list.value_type())) {
        return Unsupported("fixed-size lists hold numbers, not " + TypeName(*list.value_type()));
      }
      if (list.list_size() >= 1 && list.list_size() <= kListSizeMax) return Status::OK();
      return Unsupported("fixed-size lists have 1 to " + std::to_string(kListSizeMax) +
                         " values, not " + std::to_string(list.list_size()));
    }
    default:
      if (IsNumber(type)) return Status::OK();
      return Unsupported("type " + type.ToString() + " cannot be stored");
  }
}

Status CheckKeyType(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
    case arrow::Type::DATE32:
    case arrow::Type::TIMESTAMP:
      return Status::OK();
    default:
      if (arrow::is_integer(type.id())) return Status::OK();
      return Unsupported("a key is utf8, binary, an integer, date32 or a timestamp, not " +
                         TypeName(type));
  }
}

Status CheckName(std::string_view kind, std::string_view name) {
  const auto refuse = [&](const std::string& why) {
    return InvalidArgument(std::string(kind) + " name '" + Shown(name) + "' " + why);
  };
  if (name.empty()) return InvalidArgument("a " + std::string(kind) + " name must not be empty");
  if (name.size() > kNameBytesMax) {
    return refuse("is longer than " + std::to_string(kNameBytesMax) + " bytes");
  }
  if (!IsLetterOrDigit(name[0]) && name[0] != '_') {
    return refuse("must start with a letter, a digit or '_'");
  }
  for (char letter : name) {
    if (!IsLetterOrDigit(letter) && letter != '_' && letter != '.' && letter != '-') {
      return refuse("may hold letters, digits, '_', '.' and '-' only");
    }
  }
  // Sparse answers carry the position of each row in a column of this name.
  if (kind == "column" && name == "_idx") return refuse("is reserved");
  return Status::OK();
}

Status CheckSchema(const TableSchema& schema) {
  std::set<std::string> seen;
  for (const ColumnSchema& column : schema.columns) {
    ARROW_RETURN_NOT_OK(CheckColumn(schema, column));
    // SQL does not tell such names apart, nor do some file systems.
    if (!seen.insert(LowerCase(column.name)).second) {
      return InvalidArgument("column '" + column.name +
                             "' is given twice (upper and lower case count as the same)");
    }
  }
  ARROW_RETURN_NOT_OK(CheckKey(schema));
  ARROW_RETURN_NOT_OK(CheckEventTime(schema));
  if (schema.ttl_ms < 0) {
    return InvalidArgument("ttl must not be negative, is " + std::to_string(schema.ttl_ms) + " ms");
  }
  return Status::OK();
}

bool IsWidening(const arrow::DataType& from, const arrow::DataType& to) {
  if (from.Equals(to)) return true;
  if (arrow::is_integer(from.id()) && arrow::is_integer(to.id()))
    return IsIntegerWidening(from, to);
  if (arrow::is_floating(from.id()) && arrow::is_floating(to.id())) {
    return BitWidth(from) < BitWidth(to);
  }
  if (!arrow::is_integer(from.id())) return false;
  // A float holds every integer that fits its 24 bits of mantissa, a double 53.
  if (to.id() == arrow::Type::FLOAT) return BitWidth(from) <= 16;
  return to.id() == arrow::Type::DOUBLE && BitWidth(from) <= 32;
}

}  // namespace fletching
