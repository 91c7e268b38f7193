// One bucket of one S3 endpoint: signs requests, judges answers, names things in errors.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fletching/status.h"

#include "base/bytes.h"
#include "store/http_client.h"
#include "store/object_store.h"
#include "store/s3_credentials.h"
#include "store/s3_signer.h"

namespace fletching::store {

struct S3Place {
  std::string scheme = "https";
  std::string host = {};      // of requests: with the bucket, unless path_style
  std::string endpoint = {};  // as in errors: scheme and host without the bucket
  std::string bucket = {};
  std::string prefix = {};  // empty, or ends with '/'
  std::string region = {};
  bool path_style = false;
};

struct S3Call {
  std::string method = "GET";
  std::string key = {};  // without the prefix
  bool of_bucket = false;
  NamedValues query = {};
  NamedValues headers = {};  // names in lower case
  ByteSpan body = {};
  std::string payload_sha256 = {};  // empty: taken from the body
  int32_t stall_timeout_ms = 0;
};

class S3Client {
 public:
  static Result<std::unique_ptr<S3Client>> Make(S3Place place, const ObjectStoreOptions& options);

  Result<HttpRequest> MakeRequest(const S3Call& call);
  // What an answer means, unless it is a whole one with a status of 2xx: then nothing.
  // The reasons name no object; Run does.
  std::optional<Verdict> Judge(const HttpOutcome& outcome) const;

  using TaskSource = std::function<Result<std::unique_ptr<HttpTask>>()>;
  // `action` follows "cannot". Errors name the object, or what `key` begins with, and the endpoint.
  Status Run(const char* action, const std::string& key, const TaskSource& next_task,
             const RunLimits& limits);
  Status RunOne(const char* action, const std::string& key, std::unique_ptr<HttpTask> task,
                const CallOptions& call);
  // Limits of a call that moves many pieces.
  RunLimits LimitsOfMany(const CallOptions& call) const;

  const S3Place& place() const { return place_; }
  const ObjectStoreOptions& options() const { return options_; }
  std::string NameOf(const std::string& key) const;

 private:
  S3Client(S3Place place, const ObjectStoreOptions& options,
           std::shared_ptr<CredentialSource> credentials, std::unique_ptr<HttpClient> http);
  int64_t NowMicros() const;
  Verdict JudgeStatus(const HttpReply& reply) const;
  Status ClockError(const HttpReply& reply) const;

  const S3Place place_;
  const ObjectStoreOptions options_;
  const std::shared_ptr<CredentialSource> credentials_;
  const std::unique_ptr<HttpClient> http_;
};

// A call whose answer is small and kept whole. `on_done` sees a whole 2xx answer and its body.
class PlainTask final : public HttpTask {
 public:
  using OnDone = std::function<Verdict(const HttpReply&, ByteSpan body)>;
  // Asked first about every other outcome; nothing: the client judges.
  using OnTrouble = std::function<std::optional<Verdict>(const HttpOutcome&)>;

  PlainTask(S3Client* client, S3Call call, OnDone on_done, OnTrouble on_trouble = {});
  Result<HttpRequest> NextRequest() override;
  bool TakeBytes(ByteSpan bytes) override;
  Verdict Judge(const HttpOutcome& outcome) override;

 private:
  S3Client* const client_;
  S3Call call_;
  const OnDone on_done_;
  const OnTrouble on_trouble_;
  std::vector<uint8_t> body_;
};

}  // namespace fletching::store
