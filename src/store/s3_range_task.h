// Reads a range of one object, and accepts only bytes that are what was announced: the range asked
// for, of the length told twice (Content-Length and Content-Range), of one etag throughout.
// After a broken connection it goes on where it was.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "store/s3_client.h"

namespace fletching::store {

struct RangeGoal {
  std::string key = {};
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = UINT64_MAX;           // beyond the end: to the end, if no target is given
  std::string etag = {};                      // empty: any; then that of the first answer
  std::optional<uint64_t> object_bytes = {};  // must be the object's size
  std::span<uint8_t> target = {};             // of size_bytes; empty: bytes() of the task
  uint64_t bytes_max = UINT64_MAX;
};

class RangeTask final : public HttpTask {
 public:
  using OnDone = std::function<Status(RangeTask*)>;
  RangeTask(S3Client* client, RangeGoal goal, OnDone on_done);

  Result<HttpRequest> NextRequest() override;
  bool TakeHead(const HttpReply& reply) override;
  bool TakeBytes(ByteSpan bytes) override;
  Verdict Judge(const HttpOutcome& outcome) override;

  // Of a task that is done.
  std::vector<uint8_t>& bytes() { return bytes_; }
  const ObjectInfo& info() const { return info_; }

 private:
  bool Refuse(Verdict verdict);
  bool RefuseNonsense(std::string what);
  Verdict JudgeTrouble(const HttpOutcome& outcome);
  Verdict Replaced() const;

  S3Client* const client_;
  RangeGoal goal_;
  const OnDone on_done_;
  std::vector<uint8_t> bytes_;
  ObjectInfo info_;
  uint64_t received_bytes_ = 0;         // kept between attempts
  uint64_t received_before_bytes_ = 0;  // when the attempt began
  uint64_t end_bytes_ = 0;              // of the range, as the answer told
  std::optional<Verdict> refusal_;
  int nonsense_count_ = 0;
  bool is_empty_ = false;  // no range of an empty object exists, so it is asked for as a whole
};

}  // namespace fletching::store
