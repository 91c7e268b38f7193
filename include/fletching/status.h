// Errors of the whole project: arrow::Status with one of our codes attached.
//
// Expected trouble (bad input, a missing table, a full disk) is a Status. Damaged bytes are a
// Status of code kCorruption that names file and offset. Our own mistakes are FLETCHING_CHECK
// (base/check.h) and stop the process. An absent key is not an error: it is a null row.
// docs/protocol.md holds the one table that maps each code to HTTP, Flight and Python.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "arrow/result.h"
#include "arrow/status.h"

namespace fletching {

using Status = arrow::Status;
template <typename T>
using Result = arrow::Result<T>;

// What a caller can act on.           built on Arrow's      HTTP  Python
enum class ErrorCode : uint8_t {
  kInvalidArgument = 1,   //            Invalid               400   ValueError
  kSchemaMismatch = 2,    //            Invalid               400   TypeError
  kTooLarge = 3,          //            Invalid               413   ValueError
  kNotFound = 4,          //            KeyError              404   KeyError (table) / ValueError
  kAlreadyExists = 5,     //            AlreadyExists         409   AlreadyExistsError
  kUnsupported = 6,       //            NotImplemented        501   NotImplementedError
  kCancelled = 7,         //            Cancelled             499   CancelledError
  kDeadline = 8,          //            Cancelled             504   TimeoutError
  kBusy = 9,              //            CapacityError         503   BusyError
  kUnavailable = 10,      //            IOError               503   OSError
  kCorruption = 11,       //            SerializationError    500   CorruptionError
  kStorageFull = 12,      //            IOError               507   OSError (ENOSPC)
  kLocked = 13,           //            IOError               503   LockedError
  kInternal = 14,         //            UnknownError          500   RuntimeError
  kUnauthenticated = 15,  //           IOError               401   UnauthenticatedError
  kForbidden = 16,        //           IOError               403   PermissionError
};

// Makers. The text says what happened and, where there is one, the fix.
Status MakeError(ErrorCode code, std::string message);
Status InvalidArgument(std::string message);
Status SchemaMismatch(std::string message);
Status TooLarge(std::string message);
Status NotFound(std::string_view kind, std::string_view name);  // "table 'x' does not exist"
Status AlreadyExists(std::string_view kind, std::string_view name);
Status Unsupported(std::string message);
Status Cancelled(std::string message);
Status Busy(std::string message);
Status Unavailable(std::string message);
Status StorageFull(std::string message);
// Damaged bytes: "segment.flseg: offset 4096: block checksum differs".
Status Corruption(std::string_view file, uint64_t offset_bytes, std::string_view what);

// The code attached by a maker; for a Status of Arrow's own, the nearest one
// (Invalid and TypeError: kInvalidArgument, KeyError: kNotFound, IOError: kUnavailable, ...).
// Must not be called with an OK status.
ErrorCode CodeOf(const Status& status);

// Lower-case word of a code, as it stands in JSON errors and logs: "not_found".
std::string_view CodeName(ErrorCode code);

}  // namespace fletching
