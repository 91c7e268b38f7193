#include "store/s3_client.h"

#include <cstdlib>
#include <utility>

#include "store/digest.h"
#include "store/s3_answer.h"

namespace fletching::store {
namespace {

// A clock this far off makes S3 refuse a signature: 15 minutes, by its documentation.
constexpr int64_t kMicrosPerSecond = 1'000'000;

bool IsLoopback(const std::string& host) {
  return host.starts_with("127.") || host.starts_with("localhost") || host.starts_with("[::1]");
}

bool IsPassing(int status, const std::string& code) {
  if (status == 408 || status == 429) return true;
  if (status >= 500) return status != 501 && status != 505;
  // Given with other statuses too. The digests: bytes changed on their way.
  return code == "SlowDown" || code == "RequestTimeout" || code == "ConditionalRequestConflict" ||
         code == "OperationAborted" || code == "BadDigest" || code == "XAmzContentSHA256Mismatch" ||
         code.starts_with("Throttl");
}

std::string Said(const HttpReply& reply, const S3Error& error) {
  std::string text = "status " + std::to_string(reply.status);
  if (!error.code.empty()) text += ", " + error.code;
  if (!error.message.empty()) text += ": " + error.message;
  return text;
}

}  // namespace

Result<std::unique_ptr<S3Client>> S3Client::Make(S3Place place, const ObjectStoreOptions& options) {
  ARROW_RETURN_NOT_OK(LoadDigests());
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<CredentialSource> credentials,
                        MakeCredentialSource(options));
  HttpClientOptions http_options{.ca_file = options.ca_file,
                                 .no_proxy = IsLoopback(place.host),
                                 .connections_max = options.connections_max,
                                 .connect_timeout_ms = options.connect_timeout_ms,
                                 .stall_timeout_ms = options.stall_timeout_ms,
                                 .backoff_first_ms = options.backoff_first_ms,
                                 .backoff_max_ms = options.backoff_max_ms,
                                 .random_seed = options.random_seed};
  ARROW_ASSIGN_OR_RAISE(std::unique_ptr<HttpClient> http,
                        HttpClient::Make(std::move(http_options)));
  return std::unique_ptr<S3Client>(
      new S3Client(std::move(place), options, std::move(credentials), std::move(http)));
}

S3Client::S3Client(S3Place place, const ObjectStoreOptions& options,
                   std::shared_ptr<CredentialSource> credentials, std::unique_ptr<HttpClient> http)
    : place_(std::move(place)),
      options_(options),
      credentials_(std::move(credentials)),
      http_(std::move(http)) {}

int64_t S3Client::NowMicros() const {
  return (options_.clock != nullptr ? options_.clock : SystemClock())->NowMicros();
}

std::string S3Client::NameOf(const std::string& key) const {
  return "s3://" + place_.bucket + "/" + place_.prefix + key;
}

Result<HttpRequest> S3Client::MakeRequest(const S3Call& call) {
  // Without a key, a DELETE would be of the bucket.
  if (call.key.empty() && !call.of_bucket) return InvalidArgument("the key is empty");
  ARROW_ASSIGN_OR_RAISE(const Credentials credentials, credentials_->Get());
  SignInput input{.method = call.method,
                  .host = place_.host,
                  .path = "/",
                  .query = call.query,
                  .headers = call.headers,
                  .payload_sha256 = call.payload_sha256,
                  .region = place_.region,
                  .now_us = NowMicros()};
  if (place_.path_style) input.path += EncodePath(place_.bucket) + "/";
  if (!call.of_bucket) input.path += EncodePath(place_.prefix + call.key);
  if (input.payload_sha256.empty()) input.payload_sha256 = HexSha256(call.body);
  HttpRequest request;
  request.method = call.method;
  request.url = place_.scheme + "://" + place_.host + input.path;
  if (!call.query.empty()) request.url += "?" + EncodeQuery(call.query);
  request.headers = SignedHeaders(input, credentials);
  request.body = call.body;
  request.stall_timeout_ms = call.stall_timeout_ms;
  return request;
}

std::optional<Verdict> S3Client::Judge(const HttpOutcome& outcome) const {
  switch (outcome.trouble) {
    case HttpTrouble::kNone:
      break;
    case HttpTrouble::kTrust:
      return Verdict::Fail(
          Unavailable("the server's certificate is not trusted (" + outcome.trouble_text +
                      "); fix: name its authority's " +
                      "certificates by ca_file, or use http:// where that is safe"));
    case HttpTrouble::kRefused:
      return Verdict::Fail(Unavailable("the answer is larger than any S3 would give"));
    case HttpTrouble::kTruncated:
      return Verdict::Retry(Unavailable("the answer ended too early: " + outcome.trouble_text));
    case HttpTrouble::kStalled:
      return Verdict::Retry(Unavailable("the connection hangs: " + outcome.trouble_text));
    case HttpTrouble::kConnection:
      return Verdict::Retry(Unavailable("the connection failed: " + outcome.trouble_text +
                                        "; check that the endpoint is right, up and reachable"));
  }
  const int status = outcome.reply.status;
  if (status >= 200 && status < 300) return std::nullopt;
  return JudgeStatus(outcome.reply);
}

Verdict S3Client::JudgeStatus(const HttpReply& reply) const {
  const S3Error error = ParseS3Error(reply.error_body);
  const std::string said = Said(reply, error);
  if (reply.status == 507) {
    return Verdict::Fail(StorageFull("the store is full: " + said));
  }
  if (IsPassing(reply.status, error.code)) return Verdict::Retry(Unavailable(said));
  std::string region = error.region;
  if (region.empty()) region = reply.Header("x-amz-bucket-region");
  const bool other_region = !region.empty() && region != place_.region;
  if (reply.status == 301 || reply.status == 307 || error.code == "AuthorizationHeaderMalformed" ||
      (reply.status == 400 && other_region)) {
    return Verdict::Fail(
        Unavailable("it was asked for in region '" + place_.region + "'" +
                    (other_region ? ", but the bucket is in '" + region + "'" : "") +
                    "; fix: set the region (" + said + ")"));
  }
  if (error.code == "NoSuchBucket") {
    return Verdict::Fail(MakeError(
        ErrorCode::kNotFound,
        "there is no bucket '" + place_.bucket + "'; fix: create it, or correct the URL"));
  }
  // versitygw says the last with a 404.
  const bool is_unknown = error.code == "InvalidAccessKeyId" || error.code == "XAdminUserNotFound";
  if (error.code == "ExpiredToken" && credentials_->Renew()) {
    return Verdict::Retry(Unavailable("the S3 credentials have expired (" + said + ")"));
  }
  if (is_unknown || error.code == "SignatureDoesNotMatch" || error.code == "InvalidToken" ||
      error.code == "ExpiredToken" || reply.status == 401) {
    const char* const which = error.code == "ExpiredToken" ? "have expired"
                              : is_unknown                 ? "are not known: no such access key"
                                                           : "are wrong";
    return Verdict::Fail(Unavailable(std::string("the S3 credentials ") + which +
                                     "; fix: check access key, secret key and session token (" +
                                     said + ")"));
  }
  // Any other 404 is of something on the way, and says nothing about the object. One to a HEAD has
  // no words; who asked by HEAD asks again.
  const bool is_absent = error.code.starts_with("NoSuch") || reply.error_body.empty();
  if (reply.status == 404 && is_absent)
    return Verdict::Fail(MakeError(ErrorCode::kNotFound, "no such object"));
  if (reply.status == 412) {
    return Verdict::Fail(MakeError(ErrorCode::kAlreadyExists, "it is not the object expected"));
  }
  if (error.code == "RequestTimeTooSkewed") return Verdict::Fail(ClockError(reply));
  if (reply.status == 403) {
    return Verdict::Fail(
        Unavailable("the S3 credentials do not allow it; fix: grant these rights "
                    "for the bucket, or use other credentials (" +
                    said + ")"));
  }
  return Verdict::Fail(Unavailable(said));
}

Status S3Client::ClockError(const HttpReply& reply) const {
  const int64_t server_us = ParseHttpDateUs(std::string(reply.Header("date")));
  std::string text = "this machine's clock and the store's differ too much";
  if (server_us != 0) {
    const int64_t ahead_s = (NowMicros() - server_us) / kMicrosPerSecond;
    text += ": ours is " + std::to_string(std::abs(ahead_s)) + " s " +
            (ahead_s >= 0 ? "ahead" : "behind");
  }
  return Unavailable(text + "; fix: set the clock, by NTP");
}

Status S3Client::Run(const char* action, const std::string& key, const TaskSource& next_task,
                     const RunLimits& limits) {
  const Status status = http_->Run(next_task, limits);
  if (status.ok()) return status;
  return MakeError(CodeOf(status), std::string("cannot ") + action + " " + NameOf(key) + " at " +
                                       place_.endpoint + ": " + status.message());
}

Status S3Client::RunOne(const char* action, const std::string& key, std::unique_ptr<HttpTask> task,
                        const CallOptions& call) {
  const RunLimits limits{
      .deadline_ms = call.deadline_ms != 0 ? call.deadline_ms : options_.deadline_ms,
      .stop = call.stop};
  return Run(
      action, key, [&task]() -> Result<std::unique_ptr<HttpTask>> { return std::move(task); },
      limits);
}

RunLimits S3Client::LimitsOfMany(const CallOptions& call) const {
  return {.deadline_ms = call.deadline_ms != 0 ? call.deadline_ms : options_.deadline_ms,
          .deadline_restarts = call.deadline_ms == 0,
          .stop = call.stop,
          .connections_max = options_.connections_max};
}

PlainTask::PlainTask(S3Client* client, S3Call call, OnDone on_done, OnTrouble on_trouble)
    : client_(client),
      call_(std::move(call)),
      on_done_(std::move(on_done)),
      on_trouble_(std::move(on_trouble)) {}

Result<HttpRequest> PlainTask::NextRequest() {
  body_.clear();
  // Once: a part is hashed for its first attempt only.
  if (call_.payload_sha256.empty()) call_.payload_sha256 = HexSha256(call_.body);
  return client_->MakeRequest(call_);
}

bool PlainTask::TakeBytes(ByteSpan bytes) {
  if (bytes.size() > kAnswerBytesMax - body_.size()) return false;
  body_.insert(body_.end(), bytes.begin(), bytes.end());
  return true;
}

Verdict PlainTask::Judge(const HttpOutcome& outcome) {
  const bool is_whole = outcome.trouble == HttpTrouble::kNone && outcome.reply.status >= 200 &&
                        outcome.reply.status < 300;
  if (is_whole) return on_done_(outcome.reply, body_);
  if (on_trouble_) {
    if (std::optional<Verdict> verdict = on_trouble_(outcome)) return std::move(*verdict);
  }
  std::optional<Verdict> verdict = client_->Judge(outcome);
  return std::move(*verdict);
}

}  // namespace fletching::store
