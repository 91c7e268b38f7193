// One HttpClient::Run: the loop around libcurl, attempts and limits of time. Of http_client.cc
// only.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "store/http_client.h"

namespace fletching::store {

class HttpRun {
 public:
  using TaskSource = std::function<Result<std::unique_ptr<HttpTask>>()>;

  // `connections` is a CURLM*; everything is taken out of it before this object goes.
  HttpRun(HttpClient* client, void* connections, const TaskSource& next_task,
          const RunLimits& limits);
  ~HttpRun();
  Status Run();

 private:
  using Moment = std::chrono::steady_clock::time_point;

  // One task and its attempt, if one is under way.
  struct Slot {
    HttpRun* run = nullptr;
    std::unique_ptr<HttpTask> task = {};
    void* easy = nullptr;  // CURL*; null between attempts
    void* headers = nullptr;
    HttpOutcome outcome = {};
    bool head_taken = false;
    bool refused = false;
    int32_t stall_timeout_ms = 0;
    Moment last_progress = {};
    int64_t bytes_moved = 0;
    int attempt = 0;
    Moment not_before = {};
    Status last_trouble = {};
    std::array<char, 256> error_text = {};  // CURL_ERROR_SIZE
  };

  static size_t OnHeader(char* data, size_t size, size_t count, void* slot);
  static size_t OnBytes(char* data, size_t size, size_t count, void* slot);
  static int OnProgress(void* slot, int64_t down_total, int64_t down, int64_t up_total, int64_t up);
  static bool TakeHeadOnce(Slot* slot);

  Status FillSlots();
  Status StartAttempt(Slot* slot);
  void SetOptions(Slot* slot, const HttpRequest& request);
  Status Step();
  Status FinishAttempt(Slot* slot, int curl_code);
  void EndAttempt(Slot* slot);
  Status CheckStalls();
  Status DeadlineError() const;
  int WaitMs() const;

  HttpClient* const client_;
  const CurlLibrary* const curl_;
  void* const multi_;
  const TaskSource& next_task_;
  const RunLimits& limits_;
  std::vector<std::unique_ptr<Slot>> slots_;
  bool source_ended_ = false;
  Moment now_;
  Moment deadline_;
};

}  // namespace fletching::store
