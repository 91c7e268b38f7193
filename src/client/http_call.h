// One HTTP/1.1 request and its answer, as steps that never block: whoever drives it waits for the
// socket the way it likes, with poll (RunCall) or in an event loop.
//
//   HttpCall call(pool, {.method = "GET", .target = "/health"});
//   ARROW_RETURN_NOT_OK(RunCall(&call, {}));
//   call.reply().status;
//
// Threads: one at a time. An unfinished call that goes closes its connection; whether the server
// carried the request out is then not known.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "arrow/type_fwd.h"

#include "fletching/status.h"

#include "client/connection_pool.h"

namespace fletching::client {

struct CallRequest {
  std::string method = "GET";
  std::string target = "/";
  std::string content_type = {};
  std::string accept = {};
  std::shared_ptr<arrow::Buffer> body = {};  // may be null
  // Instead of a body: called for piece after piece until it gives null. Cannot be sent again.
  std::function<Result<std::shared_ptr<arrow::Buffer>>()> next_piece = {};
  // A connection that ends before the answer begins is replaced and the request sent again, once.
  bool safe_to_repeat = false;
  // Done when the head of the answer is there; the body is then taken with ReadBody.
  bool streamed_answer = false;
};

struct CallReply {
  int status = 0;
  std::string content_type;
  std::string error_code;  // header Fletching-Error
  int64_t row_count = -1;  // Fletching-Rows; -1 = not said
  uint64_t version = 0;    // Fletching-Version
  // 64-byte aligned. Null for an answer that is streamed.
  std::shared_ptr<arrow::Buffer> body;
};

class HttpCall {
 public:
  enum class Wait : uint8_t { kDone, kRead, kWrite };

  HttpCall(std::shared_ptr<ConnectionPool> pool, CallRequest request);
  ~HttpCall();
  HttpCall(const HttpCall&) = delete;
  HttpCall& operator=(const HttpCall&) = delete;

  // Goes on as far as it can. kWrite: wait until the socket can be written or read.
  // Errors: kUnavailable: no connection, or one that ended too early; those of next_piece. Final.
  Result<Wait> Advance();
  // Whether a byte of the request has left; before that the server cannot have done anything.
  bool began() const;
  // After an error, and only if it had not begun: the next Advance starts from the beginning.
  void Restart();
  // To wait for; another one after Advance. -1 before the first Advance.
  int descriptor() const;
  // After this long without a byte moving the driver gives up with TimedOut().
  int64_t timeout_ms() const;
  Status TimedOut() const;

  CallReply& reply();
  // Of a streamed answer: up to `count` bytes; 0 at its end, -1 when the socket must be waited for.
  // Errors: kUnavailable: it ended too early.
  Result<int64_t> ReadBody(uint8_t* out, int64_t count);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Drives a call to its end. `interrupt` (may be empty) is asked now and then, at least five times a
// second, and on every signal; an error ends the call with that error.
Status RunCall(HttpCall* call, const std::function<Status()>& interrupt);

// Waits until the call's socket is ready. Errors: TimedOut(), those of `interrupt`.
Status WaitFor(const HttpCall& call, HttpCall::Wait wait, const std::function<Status()>& interrupt);

// An answer of status 400 and above as the Status that the server's engine had: header
// Fletching-Error and the body's {"error": "..."}; servers that send neither are understood too.
Status StatusOf(const CallReply& reply, const std::string& where);

}  // namespace fletching::client
