#include "api/unit_text.h"

#include <array>
#include <charconv>
#include <limits>

namespace fletching::api {
namespace {

struct Unit {
  std::string_view name;
  int64_t factor;
};

constexpr std::array<Unit, 6> kDurations = {{{"w", int64_t{7} * 86'400'000},
                                             {"d", 86'400'000},
                                             {"h", 3'600'000},
                                             {"m", 60'000},
                                             {"s", 1'000},
                                             {"ms", 1}}};
constexpr std::array<Unit, 5> kSizes = {{{"TiB", int64_t{1} << 40},
                                         {"GiB", int64_t{1} << 30},
                                         {"MiB", int64_t{1} << 20},
                                         {"KiB", int64_t{1} << 10},
                                         {"B", 1}}};

constexpr size_t kShownBytesMax = 64;  // the text comes from outside

// Takes the digits off the front of `text`. Errors: none there, or too many.
Result<int64_t> TakeNumber(std::string_view* text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc() || number < 0 || text->front() == '-') {
    return InvalidArgument("'" + std::string(text->substr(0, kShownBytesMax)) +
                           "' does not start with a whole number");
  }
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  return number;
}

std::string_view TakeWord(std::string_view* text) {
  size_t length = 0;
  while (length < text->size() && ((*text)[length] < '0' || (*text)[length] > '9')) ++length;
  const std::string_view word = text->substr(0, length);
  text->remove_prefix(length);
  return word;
}

Result<int64_t> Scaled(int64_t number, int64_t factor) {
  if (number > std::numeric_limits<int64_t>::max() / factor) {
    return InvalidArgument("the number is too large");
  }
  return number * factor;
}

}  // namespace

Result<int64_t> ParseDurationMs(std::string_view text) {
  const std::string shown(text.substr(0, kShownBytesMax));
  if (text.empty()) return InvalidArgument("a duration is empty; write 30d, 12h, 5m, 10s or 250ms");
  int64_t total = 0;
  while (!text.empty()) {
    ARROW_ASSIGN_OR_RAISE(const int64_t number, TakeNumber(&text));
    const std::string_view word = TakeWord(&text);
    int64_t factor = word.empty() && total == 0 && text.empty() ? 1 : 0;
    for (const Unit& unit : kDurations) {
      if (unit.name == word) factor = unit.factor;
    }
    if (factor == 0) {
      return InvalidArgument("'" + shown +
                             "' is no duration; write 30d, 12h, 5m, 10s, 250ms or 1h30m");
    }
    ARROW_ASSIGN_OR_RAISE(const int64_t part, Scaled(number, factor));
    if (part > std::numeric_limits<int64_t>::max() - total) {
      return InvalidArgument("the number is too large");
    }
    total += part;
  }
  return total;
}

std::string FormatDurationMs(int64_t duration_ms) {
  for (const Unit& unit : kDurations) {
    if (unit.name == "w") continue;  // days read better than weeks
    if (duration_ms != 0 && duration_ms % unit.factor == 0) {
      return std::to_string(duration_ms / unit.factor) + std::string(unit.name);
    }
  }
  return "0ms";
}

Result<int64_t> ParseBytes(std::string_view text) {
  const std::string shown(text.substr(0, kShownBytesMax));
  if (text.empty()) return InvalidArgument("a size is empty; write 8MiB or a number of bytes");
  ARROW_ASSIGN_OR_RAISE(const int64_t number, TakeNumber(&text));
  while (text.starts_with(' ')) text.remove_prefix(1);
  if (text.empty()) return number;
  for (const Unit& unit : kSizes) {
    if (text == unit.name || (text.size() == 1 && text[0] == unit.name[0])) {
      return Scaled(number, unit.factor);
    }
  }
  return InvalidArgument("'" + shown +
                         "' is no size; write 512KiB, 8MiB, 1GiB or a number of bytes");
}

std::string FormatBytes(int64_t bytes) {
  for (const Unit& unit : kSizes) {
    if (bytes != 0 && bytes % unit.factor == 0 && unit.factor > 1) {
      return std::to_string(bytes / unit.factor) + " " + std::string(unit.name);
    }
  }
  return std::to_string(bytes) + " bytes";
}

}  // namespace fletching::api
