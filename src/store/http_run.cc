#include "store/http_run.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "store/curl_library.h"

namespace fletching::store {
namespace {

constexpr size_t kErrorBodyMax = 64 * 1024;
constexpr size_t kHeadersMax = 256;
constexpr int64_t kWaitMsMax = 1'000;

using std::chrono::milliseconds;

bool IsSuccess(int status) { return status >= 200 && status < 300; }

HttpTrouble TroubleOf(CURLcode code) {
  switch (code) {
    case CURLE_OK:
      return HttpTrouble::kNone;
    case CURLE_PARTIAL_FILE:
      return HttpTrouble::kTruncated;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return HttpTrouble::kTrust;
    default:
      return HttpTrouble::kConnection;
  }
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) {
    text.remove_prefix(1);
  }
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) {
    text.remove_suffix(1);
  }
  return text;
}

}  // namespace

HttpRun::HttpRun(HttpClient* client, void* connections, const TaskSource& next_task,
                 const RunLimits& limits)
    : client_(client),
      curl_(client->curl_),
      multi_(connections),
      next_task_(next_task),
      limits_(limits),
      now_(std::chrono::steady_clock::now()),
      deadline_(now_ + milliseconds(limits.deadline_ms)) {}

HttpRun::~HttpRun() {
  for (const auto& slot : slots_) EndAttempt(slot.get());
}

Status HttpRun::Run() {
  const auto wake = [this] { curl_->multi_wakeup(multi_); };
  const std::stop_callback<decltype(wake)> wake_at_stop(limits_.stop, wake);
  for (;;) {
    now_ = std::chrono::steady_clock::now();
    if (limits_.stop.stop_requested()) return Cancelled("the caller stopped it");
    ARROW_RETURN_NOT_OK(FillSlots());
    if (slots_.empty()) return Status::OK();
    if (now_ >= deadline_) return DeadlineError();
    for (const auto& slot : slots_) {
      if (slot->easy == nullptr && slot->not_before <= now_) {
        ARROW_RETURN_NOT_OK(StartAttempt(slot.get()));
      }
    }
    ARROW_RETURN_NOT_OK(Step());
    ARROW_RETURN_NOT_OK(CheckStalls());
    const bool has_done = std::erase_if(slots_, [](const auto& slot) { return !slot->task; }) > 0;
    if (has_done && limits_.deadline_restarts) deadline_ = now_ + milliseconds(limits_.deadline_ms);
    if (!has_done) curl_->multi_poll(multi_, nullptr, 0, WaitMs(), nullptr);
  }
}

Status HttpRun::FillSlots() {
  while (!source_ended_ && slots_.size() < static_cast<size_t>(limits_.connections_max)) {
    ARROW_ASSIGN_OR_RAISE(std::unique_ptr<HttpTask> task, next_task_());
    if (task == nullptr) {
      source_ended_ = true;
      break;
    }
    auto slot = std::make_unique<Slot>();
    slot->run = this;
    slot->task = std::move(task);
    slots_.push_back(std::move(slot));
  }
  return Status::OK();
}

int HttpRun::WaitMs() const {
  const Moment now = std::chrono::steady_clock::now();
  Moment until = std::min(deadline_, now + milliseconds(kWaitMsMax));
  for (const auto& slot : slots_) {
    until = std::min(until, slot->easy == nullptr
                                ? slot->not_before
                                : slot->last_progress + milliseconds(slot->stall_timeout_ms));
  }
  // One more, so that the moment has come when the wait is over.
  const auto wait = std::chrono::duration_cast<milliseconds>(until - now).count() + 1;
  return static_cast<int>(std::clamp<int64_t>(wait, 0, kWaitMsMax));
}

Status HttpRun::StartAttempt(Slot* slot) {
  ARROW_ASSIGN_OR_RAISE(const HttpRequest request, slot->task->NextRequest());
  slot->easy = curl_->easy_init();
  if (slot->easy == nullptr) return Unavailable("libcurl has no memory for another request");
  ++slot->attempt;
  slot->outcome = {};
  slot->head_taken = false;
  slot->refused = false;
  slot->error_text[0] = '\0';
  slot->bytes_moved = 0;
  slot->last_progress = now_;
  slot->stall_timeout_ms =
      request.stall_timeout_ms != 0 ? request.stall_timeout_ms : client_->options_.stall_timeout_ms;
  SetOptions(slot, request);
  if (curl_->multi_add_handle(multi_, slot->easy) != CURLM_OK) {
    return Unavailable("libcurl does not take another request");
  }
  return Status::OK();
}

void HttpRun::SetOptions(Slot* slot, const HttpRequest& request) {
  CURL* const easy = slot->easy;
  const auto set = [&](CURLoption option, auto value) { curl_->easy_setopt(easy, option, value); };
  curl_slist* headers = nullptr;
  for (const std::string& header : request.headers) {
    headers = curl_->slist_append(headers, header.c_str());
  }
  if (!request.body.empty() || request.method == "PUT" || request.method == "POST") {
    // Sent from the caller's memory. "Expect" would cost a round trip per part.
    headers = curl_->slist_append(headers, "Expect:");
    headers = curl_->slist_append(headers, "Content-Type: application/octet-stream");
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    set(CURLOPT_POSTFIELDS,
        request.body.empty()
            ? ""
            : static_cast<const char*>(static_cast<const void*>(request.body.data())));
  } else if (request.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  }
  slot->headers = headers;
  set(CURLOPT_HTTPHEADER, headers);
  set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_TCP_NODELAY, 1L);
  set(CURLOPT_BUFFERSIZE, 512L * 1024);
  set(CURLOPT_UPLOAD_BUFFERSIZE, 512L * 1024);
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(client_->options_.connect_timeout_ms));
  set(CURLOPT_ERRORBUFFER, slot->error_text.data());
  set(CURLOPT_PRIVATE, slot);
  set(CURLOPT_HEADERFUNCTION, &HttpRun::OnHeader);
  set(CURLOPT_HEADERDATA, slot);
  set(CURLOPT_WRITEFUNCTION, &HttpRun::OnBytes);
  set(CURLOPT_WRITEDATA, slot);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &HttpRun::OnProgress);
  set(CURLOPT_XFERINFODATA, slot);
  if (!client_->options_.ca_file.empty()) {
    set(CURLOPT_CAINFO, client_->options_.ca_file.c_str());
  }
  if (client_->options_.no_proxy) set(CURLOPT_NOPROXY, "*");
}

size_t HttpRun::OnHeader(char* data, size_t size, size_t count, void* slot_pointer) {
  Slot& slot = *static_cast<Slot*>(slot_pointer);
  const std::string_view line(data, size * count);
  HttpReply& reply = slot.outcome.reply;
  if (line.starts_with("HTTP/")) {  // the first line, or that of the answer behind a 100
    reply = {};
    return line.size();
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return line.size();
  if (reply.headers.size() >= kHeadersMax) return 0;
  std::string name(line.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  reply.headers.emplace_back(std::move(name), Trimmed(line.substr(colon + 1)));
  return line.size();
}

bool HttpRun::TakeHeadOnce(Slot* slot) {
  if (slot->head_taken) return !slot->refused;
  slot->head_taken = true;
  slot->refused = !slot->task->TakeHead(slot->outcome.reply);
  return !slot->refused;
}

size_t HttpRun::OnBytes(char* data, size_t size, size_t count, void* slot_pointer) {
  Slot& slot = *static_cast<Slot*>(slot_pointer);
  const std::string_view bytes(data, size * count);
  HttpReply& reply = slot.outcome.reply;
  long status = 0;
  slot.run->curl_->easy_getinfo(slot.easy, CURLINFO_RESPONSE_CODE, &status);
  reply.status = static_cast<int>(status);
  if (!IsSuccess(reply.status)) {
    reply.error_body.append(bytes.substr(0, kErrorBodyMax - reply.error_body.size()));
    return bytes.size();
  }
  if (!TakeHeadOnce(&slot)) return 0;
  if (!slot.task->TakeBytes(AsBytes(bytes))) {
    slot.refused = true;
    return 0;
  }
  return bytes.size();
}

int HttpRun::OnProgress(void* slot_pointer, int64_t, int64_t down, int64_t, int64_t up) {
  Slot& slot = *static_cast<Slot*>(slot_pointer);
  if (down + up != slot.bytes_moved) {
    slot.bytes_moved = down + up;
    slot.last_progress = std::chrono::steady_clock::now();
  }
  return 0;
}

Status HttpRun::Step() {
  int running = 0;
  if (curl_->multi_perform(multi_, &running) != CURLM_OK) {
    return Unavailable("libcurl cannot go on");
  }
  int left = 0;
  while (const CURLMsg* message = curl_->multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    Slot* slot = nullptr;
    curl_->easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &slot);
    ARROW_RETURN_NOT_OK(FinishAttempt(slot, code));
  }
  return Status::OK();
}

Status HttpRun::FinishAttempt(Slot* slot, int curl_code) {
  const auto code = static_cast<CURLcode>(curl_code);
  HttpOutcome& outcome = slot->outcome;
  long status = 0;
  curl_->easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status);
  outcome.reply.status = static_cast<int>(status);
  if (outcome.trouble == HttpTrouble::kNone) outcome.trouble = TroubleOf(code);
  // An answer without a body has shown its head to nobody yet.
  if (outcome.trouble == HttpTrouble::kNone && IsSuccess(outcome.reply.status)) TakeHeadOnce(slot);
  if (slot->refused) outcome.trouble = HttpTrouble::kRefused;
  if (outcome.trouble_text.empty() && code != CURLE_OK) {
    outcome.trouble_text =
        slot->error_text[0] != '\0' ? slot->error_text.data() : curl_->easy_strerror(code);
  }
  EndAttempt(slot);
  Verdict verdict = slot->task->Judge(outcome);
  switch (verdict.next) {
    case Verdict::Next::kDone:
      slot->task.reset();
      return Status::OK();
    case Verdict::Next::kFail:
      return verdict.why;
    case Verdict::Next::kRetry:
      break;
  }
  if (verdict.progress) slot->attempt = 1;
  slot->last_trouble = std::move(verdict.why);
  slot->not_before = now_ + milliseconds(client_->BackoffMs(slot->attempt));
  return Status::OK();
}

void HttpRun::EndAttempt(Slot* slot) {
  if (slot->easy == nullptr) return;
  curl_->multi_remove_handle(multi_, slot->easy);
  curl_->easy_cleanup(slot->easy);
  curl_->slist_free_all(static_cast<curl_slist*>(slot->headers));
  slot->easy = nullptr;
  slot->headers = nullptr;
}

Status HttpRun::CheckStalls() {
  for (const auto& slot : slots_) {
    if (slot->easy == nullptr) continue;
    const auto quiet = std::chrono::steady_clock::now() - slot->last_progress;
    if (quiet < milliseconds(slot->stall_timeout_ms)) continue;
    slot->outcome.trouble = HttpTrouble::kStalled;
    slot->outcome.trouble_text =
        "nothing came or went for " + std::to_string(slot->stall_timeout_ms) + " ms";
    ARROW_RETURN_NOT_OK(FinishAttempt(slot.get(), CURLE_OPERATION_TIMEDOUT));
  }
  return Status::OK();
}

Status HttpRun::DeadlineError() const {
  std::string text = "not done within " + std::to_string(limits_.deadline_ms) + " ms";
  const Slot* troubled = nullptr;
  for (const auto& slot : slots_) {
    if (!slot->last_trouble.ok() && (troubled == nullptr || slot->attempt > troubled->attempt)) {
      troubled = slot.get();
    }
  }
  if (troubled != nullptr) {
    text += "; " + std::to_string(troubled->attempt) +
            " attempts, the last one failed: " + troubled->last_trouble.message();
  }
  return MakeError(ErrorCode::kDeadline, std::move(text));
}

}  // namespace fletching::store
