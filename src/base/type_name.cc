// Types as text, both ways. Declared in fletching/schema.h.
#include <array>
#include <charconv>
#include <optional>
#include <string>

#include "arrow/type.h"

#include "fletching/schema.h"

#include "base/nearest_name.h"

namespace fletching {
namespace {

using TypePtr = std::shared_ptr<arrow::DataType>;

struct NamedType {
  std::string_view name;
  TypePtr (*make)();
};

TypePtr TimeSeconds() { return arrow::time32(arrow::TimeUnit::SECOND); }
TypePtr TimeMillis() { return arrow::time32(arrow::TimeUnit::MILLI); }
TypePtr TimeMicros() { return arrow::time64(arrow::TimeUnit::MICRO); }
TypePtr TimeNanos() { return arrow::time64(arrow::TimeUnit::NANO); }
TypePtr TimestampMicros() { return arrow::timestamp(arrow::TimeUnit::MICRO); }
template <const TypePtr& (*factory)()>
TypePtr Of() {
  return factory();
}

// Types without parameters. The first kCanonicalCount names are also what TypeName writes.
constexpr std::array<NamedType, 26> kNamedTypes = {{
    {"bool", Of<arrow::boolean>},
    {"int8", Of<arrow::int8>},
    {"int16", Of<arrow::int16>},
    {"int32", Of<arrow::int32>},
    {"int64", Of<arrow::int64>},
    {"uint8", Of<arrow::uint8>},
    {"uint16", Of<arrow::uint16>},
    {"uint32", Of<arrow::uint32>},
    {"uint64", Of<arrow::uint64>},
    {"float16", Of<arrow::float16>},
    {"float32", Of<arrow::float32>},
    {"float64", Of<arrow::float64>},
    {"utf8", Of<arrow::utf8>},
    {"binary", Of<arrow::binary>},
    {"date32", Of<arrow::date32>},
    {"time32[s]", TimeSeconds},
    {"time32[ms]", TimeMillis},
    {"time64[us]", TimeMicros},
    {"time64[ns]", TimeNanos},
    // Other words for the same.
    {"string", Of<arrow::utf8>},
    {"float", Of<arrow::float32>},
    {"double", Of<arrow::float64>},
    {"date", Of<arrow::date32>},
    {"time", TimeMicros},
    {"timestamp", TimestampMicros},
    {"boolean", Of<arrow::boolean>},
}};
constexpr size_t kCanonicalCount = 19;

constexpr std::array<std::string_view, 4> kUnitNames = {"s", "ms", "us", "ns"};
constexpr std::array<arrow::TimeUnit::type, 4> kUnits = {
    arrow::TimeUnit::SECOND, arrow::TimeUnit::MILLI, arrow::TimeUnit::MICRO, arrow::TimeUnit::NANO};

std::string_view UnitName(arrow::TimeUnit::type unit) {
  return kUnitNames[static_cast<size_t>(unit)];
}

// The part of `name` between `prefix` and `suffix`, if it has both.
std::optional<std::string_view> Inside(std::string_view name, std::string_view prefix,
                                       std::string_view suffix) {
  if (name.size() < prefix.size() + suffix.size() || !name.starts_with(prefix) ||
      !name.ends_with(suffix)) {
    return std::nullopt;
  }
  name.remove_prefix(prefix.size());
  name.remove_suffix(suffix.size());
  return name;
}

TypePtr FindPlain(std::string_view name) {
  for (const NamedType& known : kNamedTypes) {
    if (known.name == name) return known.make();
  }
  return nullptr;
}

// `inside` is "us" or "us, UTC"; "us, tz=UTC", as Arrow prints it, is understood too.
TypePtr ParseTimestamp(std::string_view inside) {
  const size_t comma = inside.find(',');
  std::string_view zone;
  if (comma != std::string_view::npos) {
    zone = inside.substr(comma + 1);
    while (zone.starts_with(' ')) zone.remove_prefix(1);
    if (zone.starts_with("tz=")) zone.remove_prefix(3);
    if (zone.empty()) return nullptr;
  }
  const std::string_view unit = inside.substr(0, comma);
  for (size_t i = 0; i < kUnits.size(); ++i) {
    if (kUnitNames[i] == unit) return arrow::timestamp(kUnits[i], std::string(zone));
  }
  return nullptr;
}

// `name` is "fixed_size_list<float32>[128]".
TypePtr ParseFixedSizeList(std::string_view name) {
  const size_t close = name.rfind(">[");
  if (close == std::string_view::npos) return nullptr;
  const auto element = Inside(name.substr(0, close + 1), "fixed_size_list<", ">");
  const auto digits = Inside(name.substr(close), ">[", "]");
  if (!element || !digits) return nullptr;
  const TypePtr value = FindPlain(*element);
  int32_t size = 0;
  const auto [end, error] = std::from_chars(digits->data(), digits->data() + digits->size(), size);
  if (value == nullptr || error != std::errc() || end != digits->data() + digits->size()) {
    return nullptr;
  }
  return size > 0 ? arrow::fixed_size_list(value, size) : nullptr;
}

TypePtr ParseParametric(std::string_view name) {
  if (const auto inside = Inside(name, "timestamp[", "]")) return ParseTimestamp(*inside);
  if (name.starts_with("fixed_size_list<")) return ParseFixedSizeList(name);
  if (const auto inside = Inside(name, "list<", ">")) {
    const TypePtr value = FindPlain(*inside);
    return value == nullptr ? nullptr : arrow::list(value);
  }
  return nullptr;
}

Status UnknownType(std::string_view name) {
  std::vector<std::string_view> known;
  for (const NamedType& type : kNamedTypes) known.push_back(type.name);
  constexpr size_t kShownBytesMax = 64;  // the name comes from outside and may be a megabyte
  std::string text("type '");
  text.append(name.substr(0, kShownBytesMax)).append("' is not known");
  text.append(DidYouMean(name, known)).append("; types are ");
  for (size_t i = 0; i < kCanonicalCount; ++i) text.append(known[i]).append(", ");
  text.append("timestamp[s|ms|us|ns], timestamp[us, UTC], list<type>, fixed_size_list<type>[n]");
  return InvalidArgument(std::move(text));
}

}  // namespace

std::string TypeName(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::TIMESTAMP: {
      const auto& timestamp = static_cast<const arrow::TimestampType&>(type);
      std::string text = std::string("timestamp[").append(UnitName(timestamp.unit()));
      if (!timestamp.timezone().empty()) text.append(", ").append(timestamp.timezone());
      return text.append("]");
    }
    case arrow::Type::LIST: {
      const auto& list = static_cast<const arrow::ListType&>(type);
      return "list<" + TypeName(*list.value_type()) + ">";
    }
    case arrow::Type::FIXED_SIZE_LIST: {
      const auto& list = static_cast<const arrow::FixedSizeListType&>(type);
      return "fixed_size_list<" + TypeName(*list.value_type()) + ">[" +
             std::to_string(list.list_size()) + "]";
    }
    default:
      break;
  }
  for (size_t i = 0; i < kCanonicalCount; ++i) {
    if (kNamedTypes[i].make()->Equals(type)) return std::string(kNamedTypes[i].name);
  }
  return type.ToString();  // a type we cannot store, named in an error
}

Result<std::shared_ptr<arrow::DataType>> ParseTypeName(std::string_view name) {
  TypePtr type = FindPlain(name);
  if (type == nullptr) type = ParseParametric(name);
  if (type == nullptr || !CheckType(*type).ok()) return UnknownType(name);
  return type;
}

}  // namespace fletching
