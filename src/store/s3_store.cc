#include "store/s3_store.h"

#include <charconv>
#include <utility>

#include "store/s3_answer.h"
#include "store/s3_range_task.h"

namespace fletching::store {
namespace {

ObjectInfo InfoOf(const std::string& key, const HttpReply& reply) {
  ObjectInfo info{.key = key, .etag = std::string(reply.Header("etag"))};
  info.modified_us = ParseHttpDateUs(std::string(reply.Header("last-modified")));
  const std::string_view length = reply.Header("content-length");
  std::from_chars(length.data(), length.data() + length.size(), info.size_bytes);
  return info;
}

}  // namespace

Result<std::unique_ptr<ObjectStore>> S3Store::Make(S3Place place,
                                                   const ObjectStoreOptions& options) {
  ARROW_ASSIGN_OR_RAISE(std::unique_ptr<S3Client> client,
                        S3Client::Make(std::move(place), options));
  return std::unique_ptr<ObjectStore>(new S3Store(std::move(client)));
}

S3Store::S3Store(std::unique_ptr<S3Client> client)
    : client_(std::move(client)), url_(client_->NameOf("")) {}

Result<ObjectInfo> S3Store::Head(const std::string& key, const CallOptions& call) {
  ObjectInfo info;
  bool has_refused = false;
  const auto run = [&](const char* method, NamedValues headers) {
    S3Call request{.method = method, .key = key, .headers = std::move(headers)};
    return client_->RunOne(
        "look at", key,
        std::make_unique<PlainTask>(
            client_.get(), std::move(request),
            [&](const HttpReply& reply, ByteSpan) {
              if (!has_refused) info = InfoOf(key, reply);
              const bool is_whole = !reply.Header("content-length").empty() && !info.etag.empty();
              if (!has_refused && !is_whole) {
                return Verdict::Retry(Unavailable("an answer without length or etag"));
              }
              return Verdict::Done();
            },
            [&](const HttpOutcome& outcome) -> std::optional<Verdict> {
              if (outcome.trouble == HttpTrouble::kNone && outcome.reply.status < 500) {
                has_refused = true;
              }
              return std::nullopt;
            }),
        call);
  };
  const Status status = run("HEAD", {});
  if (status.ok()) return info;
  if (!has_refused) return status;
  // A refusal of HEAD carries no words, so the same question is asked in a way that does.
  const Status worded = run("GET", {{"range", "bytes=0-0"}});
  return worded.ok() ? status : worded;
}

Result<ObjectBytes> S3Store::Get(const std::string& key, const GetOptions& options) {
  if (options.size_bytes == 0) {
    return InvalidArgument("cannot read no bytes of " + client_->NameOf(key) + "; use Head");
  }
  ObjectBytes got;
  RangeGoal goal{.key = key,
                 .offset_bytes = options.offset_bytes,
                 .size_bytes = options.size_bytes,
                 .etag = options.if_match,
                 .bytes_max = options.bytes_max};
  ARROW_RETURN_NOT_OK(client_->RunOne("read", key,
                                      std::make_unique<RangeTask>(client_.get(), std::move(goal),
                                                                  [&got](RangeTask* task) {
                                                                    got.bytes =
                                                                        std::move(task->bytes());
                                                                    got.info = task->info();
                                                                    return Status::OK();
                                                                  }),
                                      options.call));
  return got;
}

Status S3Store::GetRanges(const std::string& key, const std::string& if_match,
                          std::span<const RangeRead> ranges, const CallOptions& call) {
  if (if_match.empty()) {
    return InvalidArgument("ranges of " + client_->NameOf(key) +
                           " are read without an etag; they could be of two objects");
  }
  size_t next = 0;
  return client_->Run(
      "read", key,
      [&]() -> Result<std::unique_ptr<HttpTask>> {
        while (next < ranges.size() && ranges[next].target.empty()) ++next;
        if (next == ranges.size()) return nullptr;
        const RangeRead& range = ranges[next++];
        RangeGoal goal{.key = key,
                       .offset_bytes = range.offset_bytes,
                       .size_bytes = range.target.size(),
                       .etag = if_match,
                       .target = range.target};
        return std::make_unique<RangeTask>(client_.get(), std::move(goal),
                                           [](RangeTask*) { return Status::OK(); });
      },
      client_->LimitsOfMany(call));
}

Result<ObjectInfo> S3Store::PutCall(S3Call call, const CallOptions& options) {
  ObjectInfo info;
  const std::string key = call.key;
  const uint64_t size_bytes = call.body.size();
  ARROW_RETURN_NOT_OK(
      client_->RunOne("write", key,
                      std::make_unique<PlainTask>(client_.get(), std::move(call),
                                                  [&](const HttpReply& reply, ByteSpan) {
                                                    info = InfoOf(key, reply);
                                                    return Verdict::Done();
                                                  }),
                      options));
  info.size_bytes = size_bytes;
  return info;
}

Result<ObjectInfo> S3Store::Put(const std::string& key, ByteSpan bytes, const CallOptions& call) {
  return PutCall({.method = "PUT", .key = key, .body = bytes}, call);
}

Result<ObjectPage> S3Store::List(const std::string& prefix, const ListOptions& options) {
  const std::string& root = client_->place().prefix;
  S3Call request{.of_bucket = true};
  request.query = {{"list-type", "2"},
                   {"encoding-type", "url"},
                   {"prefix", root + prefix},
                   {"max-keys", std::to_string(options.entries_max)}};
  if (options.shallow) request.query.emplace_back("delimiter", "/");
  if (!options.page.empty()) {
    request.query.emplace_back("continuation-token", options.page);
  } else if (!options.start_after.empty()) {
    request.query.emplace_back("start-after", root + options.start_after);
  }
  ObjectPage page;
  ARROW_RETURN_NOT_OK(
      client_->RunOne("list", prefix,
                      std::make_unique<PlainTask>(client_.get(), std::move(request),
                                                  [&page](const HttpReply&, ByteSpan body) {
                                                    Result<ObjectPage> parsed = ParseListPage(body);
                                                    if (!parsed.ok())
                                                      return Verdict::Fail(parsed.status());
                                                    page = std::move(*parsed);
                                                    return Verdict::Done();
                                                  }),
                      options.call));
  const auto strip = [&](std::string* key) {
    if (!key->starts_with(root)) return false;
    key->erase(0, root.size());
    return true;
  };
  bool below_root = true;
  for (ObjectInfo& object : page.objects) below_root &= strip(&object.key);
  for (std::string& folder : page.folders) below_root &= strip(&folder);
  if (!below_root) {
    return Unavailable("cannot list " + client_->NameOf(prefix) +
                       ": the answer has keys of another prefix");
  }
  return page;
}

Status S3Store::Delete(std::span<const std::string> keys, const CallOptions& call) {
  size_t next = 0;
  const std::string first = keys.empty() ? "" : keys[0];
  return client_->Run(
      "delete", first,
      [&]() -> Result<std::unique_ptr<HttpTask>> {
        if (next == keys.size()) return nullptr;
        S3Call request{.method = "DELETE", .key = keys[next++]};
        return std::make_unique<PlainTask>(
            client_.get(), std::move(request),
            [](const HttpReply&, ByteSpan) { return Verdict::Done(); },
            [](const HttpOutcome& outcome) -> std::optional<Verdict> {
              const bool gone = outcome.trouble == HttpTrouble::kNone &&
                                outcome.reply.status == 404 &&
                                ParseS3Error(outcome.reply.error_body).code == "NoSuchKey";
              if (gone) return Verdict::Done();
              return std::nullopt;
            });
      },
      client_->LimitsOfMany(call));
}

}  // namespace fletching::store
