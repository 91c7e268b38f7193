// Many HTTP/1.1 exchanges at once on the calling thread, each tried until it is done.
//
// A task says what to ask, takes the answer and judges it; the client moves the bytes, waits out
// the back-off, and holds the limits of time. It knows no S3.
//
// Threads: Run from any number of threads; a task is only touched by the thread of its Run.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fletching/status.h"

#include "base/bytes.h"

namespace fletching::store {

struct CurlLibrary;

struct HttpRequest {
  std::string method = {};
  std::string url = {};
  std::vector<std::string> headers = {};  // "name: value"
  ByteSpan body = {};                     // stays alive until the task is done
  int32_t stall_timeout_ms = 0;           // 0: the client's
};

struct HttpReply {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers = {};  // names in lower case
  std::string error_body = {};  // of a status other than 2xx, 64 KiB at most

  // Empty when there is none.
  std::string_view Header(std::string_view name) const;
};

enum class HttpTrouble : uint8_t {
  kNone,        // the answer is whole; its status may be any
  kConnection,  // not reached, or broken off
  kTruncated,   // it ended before its announced length
  kStalled,     // nothing came or went for too long
  kTrust,       // the certificate is not trusted: trying again does not help
  kRefused,     // TakeHead or TakeBytes wanted no more
};

struct HttpOutcome {
  HttpReply reply = {};
  HttpTrouble trouble = HttpTrouble::kNone;
  std::string trouble_text = {};  // "could not connect to ..."; without headers or URL queries
};

// What is to be done after an attempt.
struct Verdict {
  enum class Next : uint8_t { kDone, kRetry, kFail };
  Next next = Next::kDone;
  Status why = {};        // of kRetry and kFail
  bool progress = false;  // of kRetry: the back-off starts anew

  static Verdict Done() { return {}; }
  static Verdict Retry(Status why, bool progress = false) {
    return {Next::kRetry, std::move(why), progress};
  }
  static Verdict Fail(Status why) { return {Next::kFail, std::move(why)}; }
};

class HttpTask {
 public:
  virtual ~HttpTask() = default;
  // Called before every attempt. An error ends the whole Run.
  virtual Result<HttpRequest> NextRequest() = 0;
  // Called once for a 2xx answer, before its first byte; false ends the attempt.
  virtual bool TakeHead(const HttpReply&) { return true; }
  virtual bool TakeBytes(ByteSpan) { return true; }
  // A task may look at its outcome only here, when all of it is known.
  virtual Verdict Judge(const HttpOutcome& outcome) = 0;
};

struct RunLimits {
  int64_t deadline_ms = 60'000;
  bool deadline_restarts = false;  // with every task that is done
  std::stop_token stop = {};
  int32_t connections_max = 1;
};

struct HttpClientOptions {
  std::string ca_file = {};
  bool no_proxy = false;
  int32_t connections_max = 16;
  int32_t connect_timeout_ms = 5'000;
  int32_t stall_timeout_ms = 20'000;
  int32_t backoff_first_ms = 100;
  int32_t backoff_max_ms = 5'000;
  uint64_t random_seed = 0;
};

class HttpClient {
 public:
  // Errors: kUnsupported without libcurl.
  static Result<std::unique_ptr<HttpClient>> Make(HttpClientOptions options);
  ~HttpClient();

  // Runs tasks from `next_task` (null ends) until all are done or one has failed; those under way
  // are broken off then. Errors: of the task that failed; kDeadline with the last trouble of a task
  // that was tried; kCancelled.
  Status Run(const std::function<Result<std::unique_ptr<HttpTask>>()>& next_task,
             const RunLimits& limits);
  Status RunOne(std::unique_ptr<HttpTask> task, const RunLimits& limits);

 private:
  friend class HttpRun;
  HttpClient(const CurlLibrary* curl, HttpClientOptions options);
  // Sets of connections that no Run uses now; each is a CURLM*.
  Result<void*> BorrowConnections();
  void GiveBackConnections(void* connections);
  int64_t BackoffMs(int attempt);

  const CurlLibrary* const curl_;
  const HttpClientOptions options_;
  std::mutex mutex_;
  std::vector<void*> idle_connections_;  // by mutex_
  std::mt19937_64 random_;               // by mutex_
};

}  // namespace fletching::store
