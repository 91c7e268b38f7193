// Shared libraries of the system, loaded when needed and kept apart from those of the wheel.
//
// libparquet exports 1,182 names of libcrypto. On a link line with it, whoever calls SHA256 or is
// libcurl calls that copy, or half of each (seen: docs/decisions/0008). Loaded here, a library
// looks for names in itself and in what it needs before it looks at what the process has.
#pragma once

#include <string>

#include "fletching/status.h"

namespace fletching {

class SystemLibrary {
 public:
  // Never unloaded. Errors: kUnsupported, saying what to install: `package` of Debian.
  static Result<SystemLibrary> Open(const std::string& file, const std::string& package);

  // Errors: as Open.
  template <typename Function>
  Status Find(const char* name, Function** function) const {
    ARROW_ASSIGN_OR_RAISE(void* const found, FindSymbol(name));
    *function = reinterpret_cast<Function*>(found);
    return Status::OK();
  }

 private:
  SystemLibrary(void* handle, std::string file, std::string package);
  Result<void*> FindSymbol(const char* name) const;

  void* handle_;
  std::string file_;
  std::string package_;
};

}  // namespace fletching
