// The bytes before the body of an answer: status line and header fields.
#pragma once

#include <cstdint>
#include <string>

#include "api/http/http_message.h"

namespace fletching::http {

struct HeadOptions {
  bool keep_alive = true;
  bool http_1_0 = false;
  int64_t now_seconds = 0;  // for Date
};

// Replaces what is in `out`, whose memory is used again from answer to answer.
void WriteResponseHead(std::string* out, const HttpResponse& response, const HeadOptions& options);

}  // namespace fletching::http
