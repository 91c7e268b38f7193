// Bytes of a connection -> one HTTP/1.1 request after the other. The one place that knows Beast.
//
// Stops at the end of each header, so that its user can decide where the body goes or refuse it.
// Opens no socket and reads no file, so it is tested and fuzzed by itself.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "fletching/status.h"

#include "api/http/body_spool.h"
#include "api/http/http_message.h"
#include "base/bytes.h"

namespace fletching::http {

// Lifetime: the views, until the next Start.
struct RequestHead {
  Method method = Method::kOther;
  std::string_view method_name;
  bool is_head = false;  // HEAD: as GET, but only the head is sent
  std::string_view path;
  std::string_view query;
  std::string_view content_type;
  std::string_view accept;
  std::string_view authorization;
  std::string_view api_key;           // X-API-Key
  std::optional<int64_t> body_bytes;  // as declared; absent when chunked
  bool has_body = false;
  bool expects_continue = false;
  bool http_1_0 = false;
  bool keep_alive = true;
};

class RequestReader {
 public:
  enum class State : uint8_t {
    kNeedMore,  // all bytes are used up, or those left are no whole piece yet
    kHead,      // head() is complete: call TakeBody before feeding on
    kBody,      // a piece of the body went to the spool
    kDone,
    kFault,  // fault() says why; the connection cannot go on
  };

  RequestReader();
  ~RequestReader();

  void Start(int64_t header_bytes_max);
  // Uses up bytes from the front of `bytes`, which must not be empty; `used` says how many.
  State Feed(ByteSpan bytes, size_t* used);
  // Where the body goes, and how long it may be.
  void TakeBody(BodySpool spool, int64_t bytes_max);

  const RequestHead& head() const;
  BodySpool& spool();
  // Of a declared length, what is still to come; 0 when unknown.
  int64_t body_bytes_left() const;
  HttpResponse fault() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fletching::http
