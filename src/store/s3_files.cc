// Whole files of S3Store: downloads in chunks, uploads in parts.
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <utility>
#include <vector>

#include "base/ignore_error.h"
#include "io/posix_error.h"
#include "store/chunk_writer.h"
#include "store/partial_file.h"
#include "store/posix_io.h"
#include "store/s3_answer.h"
#include "store/s3_range_task.h"
#include "store/s3_store.h"

namespace fletching::store {
namespace {

constexpr uint64_t kPartsMax = 9'000;           // S3 takes 10,000
constexpr uint64_t kPartBytesMin = 5ULL << 20;  // of all parts but the last, by S3
constexpr int64_t kAbortDeadlineMs = 5'000;     // nobody waits longer for clean-up after an error

}  // namespace

Result<ObjectInfo> S3Store::GetToFile(const std::string& key, const std::string& path,
                                      const DownloadOptions& options) {
  ARROW_ASSIGN_OR_RAISE(ObjectInfo info, Head(key, options.call));
  if (!options.if_match.empty() && options.if_match != info.etag) {
    return MakeError(ErrorCode::kAlreadyExists, "cannot read " + client_->NameOf(key) + " at " +
                                                    client_->place().endpoint +
                                                    ": it was replaced: the object of etag " +
                                                    options.if_match + " is there no more");
  }
  if (info.size_bytes == 0) {
    // No part will show whether that is so.
    ARROW_RETURN_NOT_OK(
        Get(key, {.if_match = info.etag, .bytes_max = 0, .call = options.call}).status());
  }
  const uint64_t chunk_bytes = client_->options().part_bytes;
  ARROW_ASSIGN_OR_RAISE(const std::unique_ptr<PartialFile> file,
                        PartialFile::Open(path, info.size_bytes, chunk_bytes, info.etag));
  ChunkWriter writer(file.get());
  uint64_t next = 0;
  const auto next_task = [&]() -> Result<std::unique_ptr<HttpTask>> {
    while (next < file->chunk_count() && file->HasChunk(next)) ++next;
    if (next == file->chunk_count()) return nullptr;
    const uint64_t index = next++;
    RangeGoal goal{.key = key,
                   .offset_bytes = index * chunk_bytes,
                   .size_bytes = file->ChunkBytes(index),
                   .etag = info.etag,
                   .object_bytes = info.size_bytes};
    return std::make_unique<RangeTask>(
        client_.get(), std::move(goal),
        [&writer, index](RangeTask* task) { return writer.Add(index, std::move(task->bytes())); });
  };
  ARROW_RETURN_NOT_OK(client_->Run("read", key, next_task, client_->LimitsOfMany(options.call)));
  ARROW_RETURN_NOT_OK(writer.Finish());
  ARROW_RETURN_NOT_OK(file->Finish(options.sync));
  return info;
}

struct S3Store::Upload {
  std::string key = {};
  std::string path = {};
  int descriptor = -1;
  uint64_t size_bytes = 0;
  uint64_t part_bytes = 0;
  std::string id = {};
  std::vector<std::string> etags = {};  // by part
};

Result<ObjectInfo> S3Store::PutFile(const std::string& key, const std::string& path,
                                    const CallOptions& call) {
  const OpenFile file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return io::ErrnoError("open", path, errno);
  struct stat facts;
  if (::fstat(file.get(), &facts) != 0) return io::ErrnoError("look at", path, errno);
  const auto size_bytes = static_cast<uint64_t>(facts.st_size);
  if (size_bytes > std::max(client_->options().part_bytes, kPartBytesMin)) {
    return PutParts(key, path, file.get(), size_bytes, call);
  }
  std::vector<uint8_t> bytes(size_bytes);
  ARROW_RETURN_NOT_OK(ReadFully(file.get(), path, 0, bytes));
  return Put(key, bytes, call);
}

Result<ObjectInfo> S3Store::PutParts(const std::string& key, const std::string& path,
                                     int descriptor, uint64_t size_bytes, const CallOptions& call) {
  Upload upload{.key = key, .path = path, .descriptor = descriptor, .size_bytes = size_bytes};
  upload.part_bytes = std::max(
      {client_->options().part_bytes, kPartBytesMin, RoundUp(size_bytes / kPartsMax + 1, 1 << 20)});
  upload.etags.resize((size_bytes + upload.part_bytes - 1) / upload.part_bytes);
  ARROW_RETURN_NOT_OK(BeginUpload(&upload, call));
  const Status sent = SendParts(&upload, call);
  if (!sent.ok()) {
    AbortUpload(upload);
    return sent;
  }
  Result<ObjectInfo> done = CompleteUpload(&upload, call);
  if (!done.ok()) AbortUpload(upload);
  return done;
}

Status S3Store::BeginUpload(Upload* upload, const CallOptions& call) {
  S3Call request{.method = "POST", .key = upload->key, .query = {{"uploads", ""}}};
  return client_->RunOne("write", upload->key,
                         std::make_unique<PlainTask>(client_.get(), std::move(request),
                                                     [upload](const HttpReply&, ByteSpan body) {
                                                       Result<std::string> id =
                                                           ParseAnswerField(body, "UploadId");
                                                       if (!id.ok())
                                                         return Verdict::Fail(id.status());
                                                       upload->id = std::move(*id);
                                                       return Verdict::Done();
                                                     }),
                         call);
}

namespace {

// A part with the bytes it sends.
class PartTask final : public HttpTask {
 public:
  explicit PartTask(std::vector<uint8_t> bytes) : bytes_(std::move(bytes)) {}
  void Begin(S3Client* client, S3Call call, PlainTask::OnDone on_done) {
    call.body = bytes_;
    inner_ = std::make_unique<PlainTask>(client, std::move(call), std::move(on_done));
  }
  Result<HttpRequest> NextRequest() override { return inner_->NextRequest(); }
  bool TakeBytes(ByteSpan bytes) override { return inner_->TakeBytes(bytes); }
  Verdict Judge(const HttpOutcome& outcome) override { return inner_->Judge(outcome); }

 private:
  const std::vector<uint8_t> bytes_;
  std::unique_ptr<PlainTask> inner_;
};

}  // namespace

Status S3Store::SendParts(Upload* upload, const CallOptions& call) {
  size_t next = 0;
  const auto next_task = [&]() -> Result<std::unique_ptr<HttpTask>> {
    if (next == upload->etags.size()) return nullptr;
    const size_t part = next++;
    const uint64_t offset_bytes = part * upload->part_bytes;
    std::vector<uint8_t> bytes(std::min(upload->part_bytes, upload->size_bytes - offset_bytes));
    ARROW_RETURN_NOT_OK(ReadFully(upload->descriptor, upload->path, offset_bytes, bytes));
    S3Call request{.method = "PUT",
                   .key = upload->key,
                   .query = {{"partNumber", std::to_string(part + 1)}, {"uploadId", upload->id}}};
    auto task = std::make_unique<PartTask>(std::move(bytes));
    task->Begin(client_.get(), std::move(request), [=](const HttpReply& reply, ByteSpan) {
      upload->etags[part] = reply.Header("etag");
      return upload->etags[part].empty() ? Verdict::Retry(Unavailable("a part without an etag"))
                                         : Verdict::Done();
    });
    return task;
  };
  return client_->Run("write", upload->key, next_task, client_->LimitsOfMany(call));
}

Result<ObjectInfo> S3Store::CompleteUpload(Upload* upload, const CallOptions& call) {
  std::string text = "<CompleteMultipartUpload>";
  for (size_t part = 0; part < upload->etags.size(); ++part) {
    text += "<Part><PartNumber>" + std::to_string(part + 1) + "</PartNumber><ETag>" +
            upload->etags[part] + "</ETag></Part>";
  }
  text += "</CompleteMultipartUpload>";
  ObjectInfo info{.key = upload->key, .size_bytes = upload->size_bytes};
  bool may_be_done = false;  // an earlier attempt ended without an answer
  bool is_gone = false;
  S3Call request{.method = "POST", .key = upload->key, .query = {{"uploadId", upload->id}}};
  request.body = AsBytes(text);
  // The store may put the parts together before it answers.
  request.stall_timeout_ms = 4 * client_->options().stall_timeout_ms;
  const auto on_done = [&](const HttpReply&, ByteSpan body) {
    const std::string_view words(static_cast<const char*>(static_cast<const void*>(body.data())),
                                 body.size());
    // The status comes before the outcome is known, so an error may stand in the body of a 200.
    const S3Error error = ParseS3Error(words);
    if (!error.code.empty()) return Verdict::Retry(Unavailable(error.code + ": " + error.message));
    Result<std::string> etag = ParseAnswerField(body, "ETag");
    if (!etag.ok()) return Verdict::Retry(etag.status());
    info.etag = std::move(*etag);
    return Verdict::Done();
  };
  const auto on_trouble = [&](const HttpOutcome& outcome) -> std::optional<Verdict> {
    if (outcome.trouble == HttpTrouble::kNone && outcome.reply.status == 404 && may_be_done) {
      is_gone = true;
      return Verdict::Done();
    }
    may_be_done |= outcome.trouble != HttpTrouble::kNone || outcome.reply.status >= 500;
    return std::nullopt;
  };
  ARROW_RETURN_NOT_OK(client_->RunOne(
      "write", upload->key,
      std::make_unique<PlainTask>(client_.get(), std::move(request), on_done, on_trouble), call));
  if (is_gone) return FindCompleted(*upload, call);
  return info;
}

// The upload is gone and the answer was lost: either it became the object, or somebody aborted it.
Result<ObjectInfo> S3Store::FindCompleted(const Upload& upload, const CallOptions& call) {
  ARROW_ASSIGN_OR_RAISE(ObjectInfo info, Head(upload.key, call));
  const std::string expected = EtagOfParts(upload.etags);
  const bool is_ours =
      info.size_bytes == upload.size_bytes && (expected.empty() || info.etag == expected);
  if (is_ours) return info;
  return Unavailable("cannot write " + client_->NameOf(upload.key) + " at " +
                     client_->place().endpoint +
                     ": the upload is gone and another object is there; write it again");
}

void S3Store::AbortUpload(const Upload& upload) {
  S3Call request{.method = "DELETE", .key = upload.key, .query = {{"uploadId", upload.id}}};
  IgnoreError(client_->RunOne(
      "abort", upload.key,
      std::make_unique<PlainTask>(client_.get(), std::move(request),
                                  [](const HttpReply&, ByteSpan) { return Verdict::Done(); }),
      {.deadline_ms = kAbortDeadlineMs}));
}

}  // namespace fletching::store
