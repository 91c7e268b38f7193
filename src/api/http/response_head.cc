#include "api/http/response_head.h"

#include <time.h>

#include "api/json_text.h"

namespace fletching::http {
namespace {

// Formatting a date costs more than the rest of the head, and the second is mostly the same.
const std::string& DateOf(int64_t now_seconds) {
  thread_local int64_t second = -1;
  thread_local std::string text;
  if (second != now_seconds) {
    const time_t now = now_seconds;
    tm parts = {};
    gmtime_r(&now, &parts);
    char buffer[40];
    // Not strftime's %a and %b, which follow the locale.
    constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    snprintf(buffer, sizeof(buffer), "%s, %02d %s %04d %02d:%02d:%02d GMT", kDays[parts.tm_wday],
             parts.tm_mday, kMonths[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour,
             parts.tm_min, parts.tm_sec);
    text = buffer;
    second = now_seconds;
  }
  return text;
}

}  // namespace

void WriteResponseHead(std::string* out, const HttpResponse& response, const HeadOptions& options) {
  out->assign("HTTP/1.1 ");
  api::AppendJsonInt(out, response.status);
  out->append(" ").append(ReasonOf(response.status));
  out->append("\r\nServer: fletching\r\nDate: ").append(DateOf(options.now_seconds));
  if (!response.content_type.empty()) {
    out->append("\r\nContent-Type: ").append(response.content_type);
  }
  if (response.next_piece != nullptr) {
    // HTTP/1.0 has no chunks: there the end of the connection is the end of the body.
    if (!options.http_1_0) out->append("\r\nTransfer-Encoding: chunked");
  } else if (response.status != 204) {
    out->append("\r\nContent-Length: ");
    api::AppendJsonInt(out, static_cast<int64_t>(response.body().size()));
  }
  for (const auto& [name, value] : response.headers) {
    out->append("\r\n").append(name).append(": ").append(value);
  }
  if (!options.keep_alive) {
    out->append("\r\nConnection: close");
  } else if (options.http_1_0) {
    out->append("\r\nConnection: keep-alive");
  }
  out->append("\r\n\r\n");
}

}  // namespace fletching::http
