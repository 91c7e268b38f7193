#include "api/json_request.h"

#include <algorithm>
#include <utility>

#include "api/json_sax.h"
#include "api/plain_strings.h"

namespace fletching::api {
namespace {

using Kind = JsonKeyColumn::Kind;

constexpr int64_t kTextBytesMax = INT32_MAX;  // offsets of a utf8 array are 32 bit
constexpr size_t kReserveBytesMax = size_t{256} << 10;
constexpr size_t kKeyBytesGuess = 12;  // in the text, with quotes and comma

// Follows the events through the one shape that is known here and skips what it does not know.
class KeysHandler final : public JsonEvents {
 public:
  KeysHandler(KeysBody what, size_t body_bytes)
      : what_(what), reserve_bytes_(std::min(body_bytes, kReserveBytesMax)) {}

  bool OnObjectBegin() override {
    if (skip_depth_ > 0) return Deeper();
    switch (at_) {
      case At::kStart:
        at_ = At::kMember;
        return true;
      case At::kKeys:
        request.form = KeysForm::kMap;
        at_ = At::kKeyMap;
        return true;
      default:
        return Unexpected("an object");
    }
  }

  bool OnObjectEnd() override {
    if (skip_depth_ > 0) return Shallower();
    at_ = at_ == At::kKeyMap ? At::kMember : At::kEnd;
    return true;
  }

  bool OnArrayBegin() override {
    if (skip_depth_ > 0) return Deeper();
    switch (at_) {
      case At::kKeys:
        request.form = KeysForm::kList;
        Reserve(&request.keys.emplace_back());
        at_ = At::kKeyValues;
        return true;
      case At::kKeyOfMap:
        at_ = At::kMapValues;
        return true;
      case At::kColumns:
        request.columns.emplace();
        at_ = At::kColumnNames;
        return true;
      default:
        return Unexpected("a list");
    }
  }

  bool OnArrayEnd() override {
    if (skip_depth_ > 0) return Shallower();
    at_ = at_ == At::kMapValues ? At::kKeyMap : At::kMember;
    return true;
  }

  bool OnName(std::string_view name) override {
    if (skip_depth_ > 0) return true;
    if (at_ == At::kKeyMap) return StartKeyColumn(name);
    if (name == "keys") return Member(At::kKeys, &has_keys);
    if (name == "columns" && what_ != KeysBody::kDelete) return Member(At::kColumns, &has_columns_);
    if (name == "table" && what_ == KeysBody::kTicket) return Member(At::kTable, &has_table);
    if (name == "event_time" && what_ == KeysBody::kDelete) {
      return Member(At::kEventTime, &has_event_time_);
    }
    if (unknown.empty()) unknown = name.substr(0, 128);
    at_ = At::kSkip;
    return true;
  }

  bool OnString(std::string_view text) override {
    if (Skipped()) return true;
    if (at_ == At::kTable) {
      request.table = text;
      at_ = At::kMember;
      return true;
    }
    if (at_ == At::kColumnNames) {
      request.columns->emplace_back(text);
      return true;
    }
    if (at_ != At::kKeyValues && at_ != At::kMapValues) return Unexpected("a string");
    JsonKeyColumn& column = request.keys.back();
    if (!Takes(&column, Kind::kText)) return false;
    if (static_cast<int64_t>(column.text.size() + text.size()) > kTextBytesMax) {
      return Fail("keys hold more than 2 GiB of text; send fewer keys in one request");
    }
    column.text.append(text);
    column.ends.push_back(static_cast<int32_t>(column.text.size()));
    return true;
  }

  size_t TakeFront(std::string_view rest) override {
    if (skip_depth_ > 0 || (at_ != At::kKeyValues && at_ != At::kMapValues)) return 0;
    JsonKeyColumn& column = request.keys.back();
    const size_t taken = TakePlainStrings(rest, &column.text, &column.ends);
    if (taken > 0) column.kind = Kind::kText;
    return taken;
  }

  bool OnInt(int64_t value) override {
    if (Skipped()) return true;
    if (at_ == At::kEventTime) {
      request.event_time_us = value;
      at_ = At::kMember;
      return true;
    }
    if (at_ != At::kKeyValues && at_ != At::kMapValues) return Unexpected("a number");
    JsonKeyColumn& column = request.keys.back();
    column.has_negative |= value < 0;
    return Takes(&column, Kind::kWhole) && (column.whole.push_back(value), true);
  }

  bool OnUint(uint64_t value) override {
    if (Skipped()) return true;
    if (at_ != At::kKeyValues && at_ != At::kMapValues) return Unexpected("a number");
    JsonKeyColumn& column = request.keys.back();
    column.above_int64 = true;
    return Takes(&column, Kind::kWhole) &&
           (column.whole.push_back(static_cast<int64_t>(value)), true);
  }

  bool OnDouble(double) override {
    return Skipped() || Unexpected("a number that is not whole, or beyond 64 bits");
  }
  bool OnBool(bool) override { return Skipped() || Unexpected("a boolean"); }
  bool OnNull() override { return Skipped() || Unexpected("null"); }

  JsonKeysRequest request;
  bool has_keys = false;
  bool has_table = false;
  std::string unknown;  // first member that is not known

 private:
  enum class At : uint8_t {
    kStart,        // before the document
    kMember,       // between members of the outer object
    kKeys,         // value of "keys" comes next
    kKeyValues,    // inside the list form
    kKeyMap,       // between members of the map form
    kKeyOfMap,     // list of one key column comes next
    kMapValues,    // inside that list
    kColumns,      // value of "columns" comes next
    kColumnNames,  // inside it
    kEventTime,    // value of "event_time" comes next
    kTable,        // value of "table" comes next
    kSkip,         // value of an unknown member comes next
    kEnd,
  };

  bool Member(At next, bool* seen) {
    if (*seen) return Fail("a member of the body occurs twice");
    *seen = true;
    at_ = next;
    return true;
  }

  bool StartKeyColumn(std::string_view name) {
    for (const JsonKeyColumn& column : request.keys) {
      if (column.name == name) {
        return Fail("key column '" + std::string(name.substr(0, 128)) + "' occurs twice");
      }
    }
    // Far above any composite key, far below what would make the search above slow.
    if (request.keys.size() >= 1000) return Fail("keys name more than 1,000 columns");
    Reserve(&request.keys.emplace_back());
    request.keys.back().name = name;
    at_ = At::kKeyOfMap;
    return true;
  }

  // Growing step by step costs a third of the parse.
  void Reserve(JsonKeyColumn* column) const {
    column->text.reserve(reserve_bytes_);
    column->ends.reserve(reserve_bytes_ / kKeyBytesGuess);
  }

  bool Takes(JsonKeyColumn* column, Kind kind) {
    if (column->kind == kind) return true;
    if (column->kind != Kind::kEmpty) {
      return Fail(Where() + " mixes strings and numbers");
    }
    column->kind = kind;
    return true;
  }

  // A value where skipping is on: of an unknown member, or somewhere inside one.
  bool Skipped() {
    if (skip_depth_ > 0) return true;
    if (at_ != At::kSkip) return false;
    at_ = At::kMember;
    return true;
  }
  bool Deeper() {
    ++skip_depth_;
    return true;
  }
  bool Shallower() {
    if (--skip_depth_ == 0) at_ = At::kMember;
    return true;
  }

  std::string Where() const {
    switch (at_) {
      case At::kKeyValues:
      case At::kMapValues: {
        const JsonKeyColumn& column = request.keys.back();
        std::string text = "keys";
        if (!column.name.empty()) text += "." + column.name.substr(0, 128);
        return text + "[" + std::to_string(column.count()) + "]";
      }
      case At::kKeyOfMap:
        return "keys." + request.keys.back().name.substr(0, 128);
      case At::kKeys:
        return "keys";
      case At::kColumns:
      case At::kColumnNames:
        return "columns";
      case At::kEventTime:
        return "event_time";
      case At::kTable:
        return "table";
      default:
        return "the body";
    }
  }

  bool Unexpected(std::string_view found) {
    if (at_ == At::kSkip) return Deeper();
    std::string text = Where() + " is ";
    text += found;
    switch (at_) {
      case At::kKeys:
        text += "; it must be a list of strings, or an object of lists";
        break;
      case At::kKeyOfMap:
        text += "; it must be a list";
        break;
      case At::kColumns:
      case At::kColumnNames:
        text = "columns must be a list of strings";
        break;
      case At::kEventTime:
        text += "; it must be microseconds since 1970-01-01 UTC";
        break;
      case At::kTable:
        text += "; it must be the table's name";
        break;
      case At::kStart:
        text += "; it must be an object";
        break;
      default:
        text += "; keys are strings or whole numbers, never null";
        break;
    }
    return Fail(std::move(text));
  }

  KeysBody what_;
  size_t reserve_bytes_;
  At at_ = At::kStart;
  int skip_depth_ = 0;
  bool has_columns_ = false;
  bool has_event_time_ = false;
};

}  // namespace

int64_t JsonKeyColumn::count() const {
  return kind == Kind::kText ? static_cast<int64_t>(ends.size()) - 1
                             : static_cast<int64_t>(whole.size());
}

Result<JsonKeysRequest> ParseKeysRequest(std::string_view body, KeysBody what) {
  KeysHandler handler(what, body.size());
  ARROW_RETURN_NOT_OK(ParseJsonEvents(body, &handler));
  if (!handler.has_keys) return InvalidArgument("the body has no member 'keys'");
  JsonKeysRequest& request = handler.request;
  // The older clients send members of their own and expect them to be ignored; the newer form
  // refuses them, so that a misspelt one is noticed.
  if (request.form == KeysForm::kMap && !handler.unknown.empty()) {
    return InvalidArgument("member '" + handler.unknown + "' of the body is not known");
  }
  if (what == KeysBody::kTicket && !handler.has_table) {
    return InvalidArgument("the ticket has no member 'table'");
  }
  if (what != KeysBody::kDelete && !request.columns.has_value()) {
    return InvalidArgument("the body has no member 'columns'");
  }
  return std::move(request);
}

}  // namespace fletching::api
