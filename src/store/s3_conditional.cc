// Puts that at most one writer wins.
//
// When the answer to such a put is lost (broken connection, 5xx), it may have won or not, and may
// still be on its way. Sending it again would then lose against itself. So every put carries a
// random mark as metadata, and before another attempt the object is looked at: with our mark it is
// won; with another object it is lost for good, since the condition can hold no more; and where
// nothing has changed, the put is sent again under the same condition.
#include <array>
#include <cstdio>
#include <random>
#include <utility>

#include "store/s3_answer.h"
#include "store/s3_store.h"

namespace fletching::store {
namespace {

constexpr char kMarkHeader[] = "x-amz-meta-fletching-mark";

// Not of the seeded generator: two writers must never have the same.
std::string RandomMark() {
  std::random_device device;
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%08x%08x%08x%08x", device(), device(), device(),
                device());
  return text.data();
}

}  // namespace

class S3Store::ConditionalPut final : public HttpTask {
 public:
  // `etag` empty: there must be no object.
  ConditionalPut(S3Client* client, const std::string& key, ByteSpan bytes, const std::string& etag,
                 ObjectInfo* info)
      : client_(client), key_(key), bytes_(bytes), etag_(etag), mark_(RandomMark()), info_(info) {}

  Result<HttpRequest> NextRequest() override {
    if (is_unclear_) return client_->MakeRequest({.method = "HEAD", .key = key_});
    S3Call call{.method = "PUT", .key = key_, .body = bytes_};
    if (etag_.empty()) {
      call.headers = {{"if-none-match", "*"}, {kMarkHeader, mark_}};
    } else {
      call.headers = {{"if-match", etag_}, {kMarkHeader, mark_}};
    }
    return client_->MakeRequest(call);
  }

  Verdict Judge(const HttpOutcome& outcome) override {
    return is_unclear_ ? JudgeLook(outcome) : JudgePut(outcome);
  }

 private:
  Verdict Won(const HttpReply& reply) {
    *info_ = {.key = key_, .size_bytes = bytes_.size(), .etag = std::string(reply.Header("etag"))};
    return Verdict::Done();
  }

  static Verdict Lost() {
    return Verdict::Fail(
        MakeError(ErrorCode::kAlreadyExists, "another writer has written it first"));
  }

  Verdict JudgePut(const HttpOutcome& outcome) {
    const int status = outcome.reply.status;
    const bool answered = outcome.trouble == HttpTrouble::kNone;
    if (answered && status >= 200 && status < 300) return Won(outcome.reply);
    if (answered && status == 412) {
      if (!may_have_won_) return Lost();
      // Perhaps lost to an earlier attempt of our own.
      is_unclear_ = true;
      return Verdict::Retry(Unavailable("an earlier attempt may have won"), true);
    }
    may_have_won_ |= !answered || status >= 500;
    is_unclear_ = may_have_won_;
    return std::move(*client_->Judge(outcome));
  }

  // Of the HEAD.
  Verdict JudgeLook(const HttpOutcome& outcome) {
    const HttpReply& reply = outcome.reply;
    const bool answered = outcome.trouble == HttpTrouble::kNone;
    if (answered && reply.status >= 200 && reply.status < 300) {
      if (reply.Header(kMarkHeader) == mark_) return Won(reply);
      if (etag_.empty() || reply.Header("etag") != etag_) return Lost();
    } else if (!answered || reply.status != 404) {
      return std::move(*client_->Judge(outcome));
    } else if (!etag_.empty()) {
      return std::move(*client_->Judge(outcome));  // deleted: nothing to replace
    }
    is_unclear_ = false;
    return Verdict::Retry(Unavailable("the put did not arrive"), true);
  }

  S3Client* const client_;
  const std::string key_;
  const ByteSpan bytes_;
  const std::string etag_;
  const std::string mark_;
  ObjectInfo* const info_;
  bool may_have_won_ = false;  // some attempt had no clear end
  bool is_unclear_ = false;    // the next request is a look
};

Result<ObjectInfo> S3Store::PutIfAbsent(const std::string& key, ByteSpan bytes,
                                        const CallOptions& call) {
  ObjectInfo info;
  ARROW_RETURN_NOT_OK(client_->RunOne(
      "create", key, std::make_unique<ConditionalPut>(client_.get(), key, bytes, "", &info), call));
  return info;
}

Result<ObjectInfo> S3Store::PutIfMatch(const std::string& key, ByteSpan bytes,
                                       const std::string& etag, const CallOptions& call) {
  if (etag.empty()) {
    return InvalidArgument("cannot replace " + client_->NameOf(key) + ": the etag is empty");
  }
  ObjectInfo info;
  ARROW_RETURN_NOT_OK(client_->RunOne(
      "replace", key, std::make_unique<ConditionalPut>(client_.get(), key, bytes, etag, &info),
      call));
  return info;
}

}  // namespace fletching::store
