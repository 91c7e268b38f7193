// HTTP requests and answers as plain data. Handlers see these and nothing of Beast.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arrow/type_fwd.h"

#include "fletching/status.h"

#include "access/guard.h"
#include "api/body.h"

namespace fletching::http {

enum class Method : uint8_t { kGet, kPost, kPut, kPatch, kDelete, kOther };

std::string_view MethodName(Method method);

struct HttpRequest {
  Method method = Method::kGet;  // a HEAD request arrives as kGet
  std::string_view path;         // as sent, still percent-encoded
  std::string_view query;        // without the '?'
  std::string_view content_type;
  std::string_view accept;
  access::Caller caller;
  std::array<std::string, 2> path_args;  // decoded, in the order of the pattern
  api::Body body;
};

struct HttpResponse {
  int status = 200;
  std::string_view content_type;  // empty = no body. Lifetime: static
  std::vector<std::pair<std::string_view, std::string>> headers;
  std::string text;  // the body, unless `data` is set
  std::shared_ptr<arrow::Buffer> data;
  // Set instead of both: the body in pieces, for one that is too long to be held. Called on a
  // worker, one call at a time, until it gives null; an error cuts the connection.
  std::function<Result<std::shared_ptr<arrow::Buffer>>()> next_piece;

  std::string_view body() const;
};

inline constexpr std::string_view kJsonType = "application/json";
inline constexpr std::string_view kArrowType = "application/vnd.apache.arrow.stream";
inline constexpr std::string_view kParquetType = "application/vnd.apache.parquet";
inline constexpr std::string_view kTextType = "text/plain; charset=utf-8";
inline constexpr std::string_view kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

HttpResponse JsonResponse(int status, std::string text);
HttpResponse EmptyResponse(int status);

// {"error": "<message>"}, which is all that an error ever is.
HttpResponse ErrorResponse(int status, std::string_view message);
// The status from api/error_map. Must not be called with an OK status.
HttpResponse ErrorResponse(const Status& status);

// "Application/JSON; charset=utf-8" -> "application/json".
std::string MediaType(std::string_view content_type);

// Whether an Accept header names `type`. Weights are not read: naming it is asking for it.
bool Accepts(std::string_view accept, std::string_view type);

// %41 -> A. Errors: kInvalidArgument for anything else after a '%', and for a NUL byte.
Result<std::string> PercentDecode(std::string_view text, bool plus_is_space = false);

// "a=1&b=2" -> pairs, decoded, in order. Errors: kInvalidArgument.
Result<std::vector<std::pair<std::string, std::string>>> ParseQuery(std::string_view query);

std::string_view ReasonOf(int status);

}  // namespace fletching::http
