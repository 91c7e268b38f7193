#include "fletching/status.h"

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "arrow/util/io_util.h"

#include "base/check.h"

namespace fletching {
namespace {

constexpr char kDetailId[] = "fletching::ErrorCode";

// How our code travels inside an arrow::Status.
class CodeDetail final : public arrow::StatusDetail {
 public:
  explicit CodeDetail(ErrorCode code) : code_(code) {}
  const char* type_id() const override { return kDetailId; }
  std::string ToString() const override { return std::string(CodeName(code_)); }
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

arrow::StatusCode ArrowCodeOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kSchemaMismatch:
    case ErrorCode::kTooLarge:
      return arrow::StatusCode::Invalid;
    case ErrorCode::kNotFound:
      return arrow::StatusCode::KeyError;
    case ErrorCode::kAlreadyExists:
      return arrow::StatusCode::AlreadyExists;
    case ErrorCode::kUnsupported:
      return arrow::StatusCode::NotImplemented;
    case ErrorCode::kCancelled:
    case ErrorCode::kDeadline:
      return arrow::StatusCode::Cancelled;
    case ErrorCode::kBusy:
      return arrow::StatusCode::CapacityError;
    case ErrorCode::kUnavailable:
    case ErrorCode::kStorageFull:
    case ErrorCode::kLocked:
    case ErrorCode::kUnauthenticated:
    case ErrorCode::kForbidden:
      return arrow::StatusCode::IOError;
    case ErrorCode::kCorruption:
      return arrow::StatusCode::SerializationError;
    case ErrorCode::kInternal:
      break;
  }
  return arrow::StatusCode::UnknownError;
}

// Arrow's CapacityError and OutOfMemory say that one value or request outgrew a bound, so they are
// the caller's to mend; our own kBusy, which shares CapacityError, carries its code.
ErrorCode NearestCode(const Status& status) {
  switch (status.code()) {
    case arrow::StatusCode::Invalid:
    case arrow::StatusCode::TypeError:
    case arrow::StatusCode::IndexError:
      return ErrorCode::kInvalidArgument;
    case arrow::StatusCode::CapacityError:
    case arrow::StatusCode::OutOfMemory:
      return ErrorCode::kTooLarge;
    case arrow::StatusCode::KeyError:
      return ErrorCode::kNotFound;
    case arrow::StatusCode::AlreadyExists:
      return ErrorCode::kAlreadyExists;
    case arrow::StatusCode::NotImplemented:
      return ErrorCode::kUnsupported;
    case arrow::StatusCode::Cancelled:
      return ErrorCode::kCancelled;
    case arrow::StatusCode::SerializationError:
      return ErrorCode::kCorruption;
    case arrow::StatusCode::IOError: {
      const int error = arrow::internal::ErrnoFromStatus(status);
      return error == ENOSPC || error == EDQUOT ? ErrorCode::kStorageFull : ErrorCode::kUnavailable;
    }
    default:
      return ErrorCode::kInternal;
  }
}

std::string Quoted(std::string_view kind, std::string_view name, std::string_view rest) {
  std::string text;
  text.append(kind).append(" '").append(name).append("' ").append(rest);
  return text;
}

}  // namespace

Status MakeError(ErrorCode code, std::string message) {
  return Status(ArrowCodeOf(code), std::move(message), std::make_shared<CodeDetail>(code));
}

Status InvalidArgument(std::string message) {
  return MakeError(ErrorCode::kInvalidArgument, std::move(message));
}
Status SchemaMismatch(std::string message) {
  return MakeError(ErrorCode::kSchemaMismatch, std::move(message));
}
Status TooLarge(std::string message) { return MakeError(ErrorCode::kTooLarge, std::move(message)); }
Status NotFound(std::string_view kind, std::string_view name) {
  return MakeError(ErrorCode::kNotFound, Quoted(kind, name, "does not exist"));
}
Status AlreadyExists(std::string_view kind, std::string_view name) {
  return MakeError(ErrorCode::kAlreadyExists, Quoted(kind, name, "already exists"));
}
Status Unsupported(std::string message) {
  return MakeError(ErrorCode::kUnsupported, std::move(message));
}
Status Cancelled(std::string message) {
  return MakeError(ErrorCode::kCancelled, std::move(message));
}
Status Busy(std::string message) { return MakeError(ErrorCode::kBusy, std::move(message)); }
Status Unavailable(std::string message) {
  return MakeError(ErrorCode::kUnavailable, std::move(message));
}
Status StorageFull(std::string message) {
  return MakeError(ErrorCode::kStorageFull, std::move(message));
}
Status Corruption(std::string_view file, uint64_t offset_bytes, std::string_view what) {
  std::string text(file);
  text.append(": offset ").append(std::to_string(offset_bytes)).append(": ").append(what);
  return MakeError(ErrorCode::kCorruption, std::move(text));
}

ErrorCode CodeOf(const Status& status) {
  FLETCHING_CHECK(!status.ok());
  const std::shared_ptr<arrow::StatusDetail>& detail = status.detail();
  // Compared by text: a detail may have been made by another copy of this library in the process.
  if (detail != nullptr && std::strcmp(detail->type_id(), kDetailId) == 0) {
    return static_cast<const CodeDetail&>(*detail).code();
  }
  return NearestCode(status);
}

std::string_view CodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "invalid_argument";
    case ErrorCode::kSchemaMismatch:
      return "schema_mismatch";
    case ErrorCode::kTooLarge:
      return "too_large";
    case ErrorCode::kNotFound:
      return "not_found";
    case ErrorCode::kAlreadyExists:
      return "already_exists";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kCancelled:
      return "cancelled";
    case ErrorCode::kDeadline:
      return "deadline";
    case ErrorCode::kBusy:
      return "busy";
    case ErrorCode::kUnavailable:
      return "unavailable";
    case ErrorCode::kCorruption:
      return "corruption";
    case ErrorCode::kStorageFull:
      return "storage_full";
    case ErrorCode::kLocked:
      return "locked";
    case ErrorCode::kUnauthenticated:
      return "unauthenticated";
    case ErrorCode::kForbidden:
      return "forbidden";
    case ErrorCode::kInternal:
      break;
  }
  return "internal";
}

}  // namespace fletching
