#include "api/error_map.h"

#include <array>

#include "base/check.h"

namespace fletching::api {
namespace {

// Arrow's Flight server knows no DATA_LOSS and no RESOURCE_EXHAUSTED; the trailer tells them apart.
constexpr std::array<ErrorAnswer, 16> kAnswers = {{
    {ErrorCode::kInvalidArgument, 400, "INVALID_ARGUMENT", "ValueError"},
    {ErrorCode::kSchemaMismatch, 400, "INVALID_ARGUMENT", "TypeError"},
    {ErrorCode::kTooLarge, 413, "INVALID_ARGUMENT", "ValueError"},
    {ErrorCode::kNotFound, 404, "NOT_FOUND", "KeyError"},
    {ErrorCode::kAlreadyExists, 409, "ALREADY_EXISTS", "AlreadyExistsError"},
    {ErrorCode::kUnsupported, 501, "UNIMPLEMENTED", "NotImplementedError"},
    // 499: nobody is left to read it, but logs and metrics have a number.
    {ErrorCode::kCancelled, 499, "CANCELLED", "CancelledError"},
    {ErrorCode::kDeadline, 504, "DEADLINE_EXCEEDED", "TimeoutError"},
    {ErrorCode::kBusy, 503, "UNAVAILABLE", "BusyError"},
    {ErrorCode::kUnavailable, 503, "UNAVAILABLE", "OSError"},
    {ErrorCode::kCorruption, 500, "INTERNAL", "CorruptionError"},
    {ErrorCode::kStorageFull, 507, "INTERNAL", "OSError"},
    {ErrorCode::kLocked, 503, "UNAVAILABLE", "LockedError"},
    {ErrorCode::kUnauthenticated, 401, "UNAUTHENTICATED", "UnauthenticatedError"},
    {ErrorCode::kForbidden, 403, "PERMISSION_DENIED", "PermissionError"},
    {ErrorCode::kInternal, 500, "INTERNAL", "RuntimeError"},  // stays the last
}};

}  // namespace

std::span<const ErrorAnswer> ErrorAnswers() { return kAnswers; }

const ErrorAnswer& AnswerFor(ErrorCode code) {
  for (const ErrorAnswer& answer : kAnswers) {
    if (answer.code == code) return answer;
  }
  return kAnswers.back();  // a code without a row is our mistake; a test counts the rows
}

int HttpStatusOf(const Status& status) {
  FLETCHING_CHECK(!status.ok());
  return AnswerFor(CodeOf(status)).http_status;
}

}  // namespace fletching::api
