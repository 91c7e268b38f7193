#include "api/json_sax.h"

#include <boost/json/basic_parser_impl.hpp>

namespace fletching::api {
namespace {

namespace json = boost::json;
using json::error_code;
using json::string_view;

// What Boost.JSON's parser calls, passed on to JsonEvents. Text that comes in parts (escapes) is
// put together here.
struct Bridge {
  static constexpr size_t max_object_size = static_cast<size_t>(-1);
  static constexpr size_t max_array_size = static_cast<size_t>(-1);
  static constexpr size_t max_key_size = static_cast<size_t>(-1);
  static constexpr size_t max_string_size = static_cast<size_t>(-1);

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code& ec) { return Went(events->OnObjectBegin(), ec); }
  bool on_object_end(size_t, error_code& ec) { return Went(events->OnObjectEnd(), ec); }
  bool on_array_begin(error_code& ec) {
    list_began = true;
    return Went(events->OnArrayBegin(), ec);
  }
  bool on_array_end(size_t, error_code& ec) { return Went(events->OnArrayEnd(), ec); }
  bool on_key_part(string_view text, size_t, error_code&) { return Keep(text); }
  bool on_key(string_view text, size_t, error_code& ec) {
    const bool went = Went(events->OnName(Whole(text)), ec);
    parts.clear();
    return went;
  }
  bool on_string_part(string_view text, size_t, error_code&) { return Keep(text); }
  bool on_string(string_view text, size_t, error_code& ec) {
    const bool went = Went(events->OnString(Whole(text)), ec);
    parts.clear();
    return went;
  }
  bool on_number_part(string_view, error_code&) { return true; }
  bool on_int64(int64_t value, string_view, error_code& ec) {
    return Went(events->OnInt(value), ec);
  }
  bool on_uint64(uint64_t value, string_view, error_code& ec) {
    return Went(events->OnUint(value), ec);
  }
  bool on_double(double value, string_view, error_code& ec) {
    return Went(events->OnDouble(value), ec);
  }
  bool on_bool(bool value, error_code& ec) { return Went(events->OnBool(value), ec); }
  bool on_null(error_code& ec) { return Went(events->OnNull(), ec); }
  bool on_comment_part(string_view, error_code&) { return true; }
  bool on_comment(string_view, error_code&) { return true; }

  bool Went(bool went, error_code& ec) {
    if (!went) ec = make_error_code(boost::system::errc::operation_canceled);
    return went;
  }
  bool Keep(string_view text) {
    parts.append(text.data(), text.size());
    return true;
  }
  std::string_view Whole(string_view last) {
    if (parts.empty()) return {last.data(), last.size()};
    parts.append(last.data(), last.size());
    return parts;
  }

  JsonEvents* events = nullptr;
  std::string parts;
  bool list_began = false;
};

// Lists that may hold keys stand among the first of a body; the others are the parser's.
constexpr int kListsOffered = 8;

}  // namespace

Status ParseJsonEvents(std::string_view text, JsonEvents* events) {
  json::parse_options options;
  options.max_depth = 32;
  json::basic_parser<Bridge> parser(options);
  parser.handler().events = events;
  error_code ec;
  size_t used = 0;
  // The parser stops behind a bracket, where the events may go ahead of it.
  for (int lists = 0; lists < kListsOffered && !ec && !parser.done(); ++lists) {
    const size_t bracket = text.find('[', used);
    if (bracket == std::string_view::npos) break;
    parser.handler().list_began = false;  // a bracket within a string begins none
    used += parser.write_some(true, text.data() + used, bracket + 1 - used, ec);
    if (!ec && parser.handler().list_began) used += events->TakeFront(text.substr(used));
  }
  if (!ec && !parser.done()) {
    used += parser.write_some(false, text.data() + used, text.size() - used, ec);
  }
  if (!ec && used < text.size()) {
    // write_some stops after the document; only white space may follow.
    const size_t rest = text.find_first_not_of(" \t\r\n", used);
    if (rest != std::string_view::npos) {
      return InvalidArgument("not valid JSON at byte " + std::to_string(rest) +
                             ": more text after the document");
    }
  }
  if (!ec) return Status::OK();
  if (!events->failure().empty()) return InvalidArgument(events->failure());
  return InvalidArgument("not valid JSON at byte " + std::to_string(used) + ": " + ec.message());
}

}  // namespace fletching::api
