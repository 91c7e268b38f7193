#include "pull/hive_path.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

#include <arrow/array.h>
#include <arrow/memory_pool.h>
#include <arrow/scalar.h>
#include <arrow/type.h>

#include "ingest/cast.h"
#include "ingest/json_column.h"

namespace fletching::pull {
namespace {

constexpr std::string_view kNull = "__HIVE_DEFAULT_PARTITION__";

int HexDigit(char letter) {
  if (letter >= '0' && letter <= '9') return letter - '0';
  const char lower = static_cast<char>(letter | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::string Decode(std::string_view text) {
  std::string decoded;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '%' && at + 2 < text.size()) {
      const int high = HexDigit(text[at + 1]);
      const int low = HexDigit(text[at + 2]);
      if (high >= 0 && low >= 0) {
        decoded += static_cast<char>(16 * high + low);
        at += 2;
        continue;
      }
    }
    decoded += text[at];
  }
  return decoded;
}

Status Append(const arrow::DataType& type, const std::string& text, ingest::JsonColumn* column) {
  switch (type.id()) {
    case arrow::Type::BOOL: {
      std::string lower = text;
      std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
      if (lower == "true" || lower == "false") return column->AppendBool(lower == "true");
      return column->AppendText(text);  // refused
    }
    case arrow::Type::STRING:
    case arrow::Type::DATE32:
    case arrow::Type::TIME32:
    case arrow::Type::TIME64:
    case arrow::Type::TIMESTAMP:
      return column->AppendText(text);
    case arrow::Type::LIST:
    case arrow::Type::FIXED_SIZE_LIST:
      return InvalidArgument("a folder's name holds no lists");
    default:
      return column->AppendNumber(text);
  }
}

Result<std::shared_ptr<arrow::Array>> OneValue(const ColumnSchema& column,
                                               const std::optional<std::string>& text) {
  ARROW_ASSIGN_OR_RAISE(auto values,
                        ingest::JsonColumn::Make(column.type, arrow::default_memory_pool()));
  ARROW_RETURN_NOT_OK(text.has_value() ? Append(*column.type, *text, values.get())
                                       : values->AppendNull());
  ARROW_ASSIGN_OR_RAISE(auto array, values->Finish());
  ARROW_RETURN_NOT_OK(ingest::ValidateColumn(*array));  // text that is no UTF-8
  return array;
}

}  // namespace

Result<HiveValues> ParseHivePath(const std::string& path_below) {
  HiveValues values;
  const std::string_view path = path_below;
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = path.find('/', begin);
    if (end == std::string_view::npos) break;  // the file itself
    const std::string_view folder = path.substr(begin, end - begin);
    begin = end + 1;
    const size_t equals = folder.find('=');
    if (equals == std::string_view::npos || equals == 0) continue;
    const std::string name = Decode(folder.substr(0, equals));
    const std::string_view text = folder.substr(equals + 1);
    std::optional<std::string> value;
    if (text != kNull) value = Decode(text);
    const auto [known, is_new] = values.emplace(name, value);
    if (!is_new && known->second != value) {
      return InvalidArgument("two folders of its path name column '" + name +
                             "', with different values");
    }
  }
  return values;
}

Result<std::shared_ptr<arrow::Scalar>> HiveScalar(const ColumnSchema& column,
                                                  const std::optional<std::string>& text) {
  if (text.has_value() && column.type->id() == arrow::Type::BINARY) {
    return std::make_shared<arrow::BinaryScalar>(*text);
  }
  const auto array = OneValue(column, text);
  if (array.ok()) return (*array)->GetScalar(0);
  return SchemaMismatch("column '" + column.name +
                        "' of the folder's name: " + array.status().message());
}

}  // namespace fletching::pull
