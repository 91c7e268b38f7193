// FolderLock on the real disk: flock(2) on a file that also tells who holds it.
//
// The kernel frees the lock when the last descriptor of the holder is gone, so a kill -9 leaves
// nothing behind but the text in the file. Descriptors are closed in forked children, which would
// otherwise keep the lock of a dead parent; a second open in the same process is refused like any
// other.
#pragma once

#include <memory>
#include <string>

#include "io/file.h"

namespace fletching::io {

class PosixFolderLock final : public FolderLock {
 public:
  // Errors: kLocked with the holder's pid and the path.
  static Result<std::unique_ptr<FolderLock>> Acquire(const std::string& path);
  ~PosixFolderLock() override;

 private:
  PosixFolderLock() = default;
};

}  // namespace fletching::io
