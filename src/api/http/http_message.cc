#include "api/http/http_message.h"

#include <algorithm>

#include "arrow/buffer.h"

#include "api/error_map.h"
#include "api/json_text.h"

namespace fletching::http {
namespace {

char Lower(char letter) {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

int HexValue(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  const char lower = Lower(digit);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

}  // namespace

std::string_view MethodName(Method method) {
  switch (method) {
    case Method::kGet:
      return "GET";
    case Method::kPost:
      return "POST";
    case Method::kPut:
      return "PUT";
    case Method::kPatch:
      return "PATCH";
    case Method::kDelete:
      return "DELETE";
    case Method::kOther:
      break;
  }
  return "OTHER";
}

std::string_view HttpResponse::body() const {
  if (data == nullptr) return text;
  return {reinterpret_cast<const char*>(data->data()), static_cast<size_t>(data->size())};
}

HttpResponse JsonResponse(int status, std::string text) {
  HttpResponse response;
  response.status = status;
  response.content_type = kJsonType;
  response.text = std::move(text);
  return response;
}

HttpResponse EmptyResponse(int status) {
  HttpResponse response;
  response.status = status;
  return response;
}

HttpResponse ErrorResponse(int status, std::string_view message) {
  std::string text = "{\"error\":";
  api::AppendJsonString(&text, message);
  text += '}';
  HttpResponse response = JsonResponse(status, std::move(text));
  if (status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

HttpResponse ErrorResponse(const Status& status) {
  HttpResponse response = ErrorResponse(api::HttpStatusOf(status), status.message());
  // Several codes share a status, and a client of ours raises the very error an engine would.
  response.headers.emplace_back("Fletching-Error", CodeName(CodeOf(status)));
  if (response.status == 401) {
    response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"fletching\"");
  }
  return response;
}

std::string MediaType(std::string_view content_type) {
  content_type = content_type.substr(0, content_type.find(';'));
  while (!content_type.empty() && content_type.back() == ' ') content_type.remove_suffix(1);
  std::string type(content_type);
  std::transform(type.begin(), type.end(), type.begin(), Lower);
  return type;
}

bool Accepts(std::string_view accept, std::string_view type) {
  const auto same = [](char a, char b) { return Lower(a) == b; };
  return std::search(accept.begin(), accept.end(), type.begin(), type.end(), same) != accept.end();
}

Result<std::string> PercentDecode(std::string_view text, bool plus_is_space) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    char letter = text[i];
    if (letter == '%') {
      const int high = i + 1 < text.size() ? HexValue(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexValue(text[i + 2]) : -1;
      if (high < 0 || low < 0)
        return InvalidArgument("a '%' in the URL is not followed by two hex digits");
      letter = static_cast<char>(high * 16 + low);
      if (letter == '\0') return InvalidArgument("the URL holds a NUL byte");
      i += 2;
    } else if (letter == '+' && plus_is_space) {
      letter = ' ';
    }
    decoded.push_back(letter);
  }
  return decoded;
}

Result<std::vector<std::pair<std::string, std::string>>> ParseQuery(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!query.empty()) {
    const std::string_view item = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), item.size() + 1));
    if (item.empty()) continue;
    const size_t equals = std::min(item.find('='), item.size());
    ARROW_ASSIGN_OR_RAISE(std::string name, PercentDecode(item.substr(0, equals), true));
    const std::string_view rest = equals < item.size() ? item.substr(equals + 1) : "";
    ARROW_ASSIGN_OR_RAISE(std::string value, PercentDecode(rest, true));
    pairs.emplace_back(std::move(name), std::move(value));
  }
  return pairs;
}

std::string_view ReasonOf(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 422:
      return "Unprocessable Content";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "Unknown";
  }
}

}  // namespace fletching::http
