#include "store/s3_range_task.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "store/s3_answer.h"

namespace fletching::store {
namespace {

// Something on the way may have garbled an answer; a server that always answers so is not S3.
constexpr int kNonsenseMax = 4;

struct ContentRange {
  uint64_t first_bytes = 0;
  uint64_t last_bytes = 0;
  uint64_t object_bytes = 0;
};

bool TakeNumber(std::string_view* text, uint64_t* number) {
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *number);
  if (error != std::errc()) return false;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  return true;
}

bool TakeText(std::string_view* text, std::string_view wanted) {
  if (!text->starts_with(wanted)) return false;
  text->remove_prefix(wanted.size());
  return true;
}

// "bytes 0-9/443"
std::optional<ContentRange> ParseContentRange(std::string_view text) {
  ContentRange range;
  const bool whole = TakeText(&text, "bytes ") && TakeNumber(&text, &range.first_bytes) &&
                     TakeText(&text, "-") && TakeNumber(&text, &range.last_bytes) &&
                     TakeText(&text, "/") && TakeNumber(&text, &range.object_bytes) && text.empty();
  if (!whole || range.first_bytes > range.last_bytes || range.last_bytes >= range.object_bytes) {
    return std::nullopt;
  }
  return range;
}

std::optional<uint64_t> ParseLength(std::string_view text) {
  uint64_t length = 0;
  if (!TakeNumber(&text, &length) || !text.empty()) return std::nullopt;
  return length;
}

}  // namespace

RangeTask::RangeTask(S3Client* client, RangeGoal goal, OnDone on_done)
    : client_(client), goal_(std::move(goal)), on_done_(std::move(on_done)) {
  FLETCHING_CHECK(goal_.target.empty() || goal_.target.size() == goal_.size_bytes);
  FLETCHING_CHECK(goal_.size_bytes > 0);
  info_.key = goal_.key;
  info_.etag = goal_.etag;
}

Result<HttpRequest> RangeTask::NextRequest() {
  refusal_.reset();
  received_before_bytes_ = received_bytes_;
  S3Call call{.key = goal_.key};
  if (!is_empty_) {
    std::string range = "bytes=" + std::to_string(goal_.offset_bytes + received_bytes_) + "-";
    if (goal_.size_bytes < UINT64_MAX - goal_.offset_bytes) {
      range += std::to_string(goal_.offset_bytes + goal_.size_bytes - 1);
    }
    call.headers.emplace_back("range", std::move(range));
  }
  if (!info_.etag.empty()) call.headers.emplace_back("if-match", info_.etag);
  return client_->MakeRequest(call);
}

bool RangeTask::Refuse(Verdict verdict) {
  refusal_ = std::move(verdict);
  return false;
}

bool RangeTask::RefuseNonsense(std::string what) {
  Status why = Unavailable("the answer does not add up: " + what);
  return Refuse(++nonsense_count_ < kNonsenseMax ? Verdict::Retry(std::move(why))
                                                 : Verdict::Fail(std::move(why)));
}

Verdict RangeTask::Replaced() const {
  return Verdict::Fail(MakeError(
      ErrorCode::kAlreadyExists,
      "it was replaced: another object than that of etag " + info_.etag + " is there now"));
}

bool RangeTask::TakeHead(const HttpReply& reply) {
  const std::string_view range_text = reply.Header("content-range");
  const std::optional<uint64_t> length = ParseLength(reply.Header("content-length"));
  std::optional<ContentRange> range = ParseContentRange(range_text);
  const uint64_t begin_bytes = goal_.offset_bytes + received_bytes_;
  if (reply.status == 200 && range_text.empty() && length && begin_bytes == 0) {
    if (*length == 0) {
      end_bytes_ = 0;
    } else {
      range = ContentRange{0, *length - 1, *length};  // a server that sends all of it
    }
  } else if (reply.status != 206 || !range) {
    return RefuseNonsense("status " + std::to_string(reply.status) +
                          " without a range that makes sense; the store has to honour Range");
  }
  const uint64_t object_bytes = range ? range->object_bytes : 0;
  const std::string etag(reply.Header("etag"));
  if (etag.empty()) return RefuseNonsense("no etag");
  if (!info_.etag.empty() && etag != info_.etag) return Refuse(Replaced());
  if (goal_.object_bytes && object_bytes != *goal_.object_bytes) {
    return RefuseNonsense("the object has " + std::to_string(object_bytes) +
                          " bytes where it had " + std::to_string(*goal_.object_bytes) +
                          " with the same etag");
  }
  if (range) {
    const uint64_t wanted_end =
        std::min(object_bytes, goal_.size_bytes < UINT64_MAX - goal_.offset_bytes
                                   ? goal_.offset_bytes + goal_.size_bytes
                                   : UINT64_MAX);
    const uint64_t bytes = range->last_bytes - range->first_bytes + 1;
    if (range->first_bytes != begin_bytes || range->last_bytes + 1 != wanted_end) {
      return RefuseNonsense("bytes " + std::string(range_text) + " where " +
                            std::to_string(begin_bytes) + "-" + std::to_string(wanted_end - 1) +
                            " were asked for");
    }
    if (length && *length != bytes) {
      return RefuseNonsense("a length of " + std::to_string(*length) + " for a range of " +
                            std::to_string(bytes) + " bytes");
    }
    end_bytes_ = wanted_end;
  }
  if (!goal_.target.empty() && end_bytes_ != goal_.offset_bytes + goal_.size_bytes) {
    return Refuse(Verdict::Fail(
        InvalidArgument("bytes up to " + std::to_string(goal_.offset_bytes + goal_.size_bytes) +
                        " are wanted of an object of " + std::to_string(object_bytes))));
  }
  if (end_bytes_ > goal_.offset_bytes && end_bytes_ - goal_.offset_bytes > goal_.bytes_max) {
    return Refuse(
        Verdict::Fail(TooLarge(std::to_string(end_bytes_ - goal_.offset_bytes) + " bytes, where " +
                               std::to_string(goal_.bytes_max) + " at most are wanted")));
  }
  info_.etag = etag;
  info_.size_bytes = object_bytes;
  info_.modified_us = ParseHttpDateUs(std::string(reply.Header("last-modified")));
  if (goal_.target.empty() && end_bytes_ > goal_.offset_bytes) {
    bytes_.reserve(end_bytes_ - goal_.offset_bytes);
  }
  return true;
}

bool RangeTask::TakeBytes(ByteSpan bytes) {
  if (bytes.size() > end_bytes_ - goal_.offset_bytes - received_bytes_) {
    return RefuseNonsense("more bytes than announced");
  }
  if (!goal_.target.empty()) {
    std::memcpy(goal_.target.data() + received_bytes_, bytes.data(), bytes.size());
  } else {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  received_bytes_ += bytes.size();
  return true;
}

Verdict RangeTask::JudgeTrouble(const HttpOutcome& outcome) {
  if (refusal_) return std::move(*refusal_);
  const HttpReply& reply = outcome.reply;
  if (outcome.trouble == HttpTrouble::kNone && reply.status == 412) return Replaced();
  if (outcome.trouble == HttpTrouble::kNone && reply.status == 416) {
    if (goal_.offset_bytes == 0 && goal_.target.empty() && !is_empty_) {
      is_empty_ = true;
      return Verdict::Retry(Unavailable("no range of it can be read"));
    }
    return Verdict::Fail(
        InvalidArgument("the object ends before byte " + std::to_string(goal_.offset_bytes)));
  }
  std::optional<Verdict> verdict = client_->Judge(outcome);
  verdict->progress = received_bytes_ > received_before_bytes_;
  return std::move(*verdict);
}

Verdict RangeTask::Judge(const HttpOutcome& outcome) {
  const int status = outcome.reply.status;
  if (outcome.trouble != HttpTrouble::kNone || status < 200 || status >= 300) {
    return JudgeTrouble(outcome);
  }
  if (received_bytes_ != end_bytes_ - std::min(end_bytes_, goal_.offset_bytes)) {
    RefuseNonsense("it ended after " + std::to_string(received_bytes_) + " bytes");
    return std::move(*refusal_);
  }
  const Status status_of_user = on_done_(this);
  return status_of_user.ok() ? Verdict::Done() : Verdict::Fail(status_of_user);
}

}  // namespace fletching::store
