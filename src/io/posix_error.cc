#include "io/posix_error.h"

#include <cerrno>
#include <system_error>

namespace fletching::io {

Status ErrnoError(std::string_view action, const std::string& path, int error) {
  std::string text("cannot ");
  text.append(action).append(" ").append(path).append(": ");
  text.append(std::generic_category().message(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return MakeError(ErrorCode::kNotFound, std::move(text));
    case EEXIST:
      return MakeError(ErrorCode::kAlreadyExists, std::move(text));
    case ENOSPC:
    case EDQUOT:
      return StorageFull(std::move(text));
    default:
      return Unavailable(std::move(text));
  }
}

}  // namespace fletching::io
