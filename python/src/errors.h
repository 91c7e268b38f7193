// From a Status to a Python exception with exactly its words.
//
// Which class stands for which code is said once, in python/fletching/_errors.py; a test compares
// it with the table of src/api/error_map.cc. Threads: the caller holds the GIL.
#pragma once

#include <utility>

#include "fletching/status.h"

namespace fletching::python {

// Throws what nanobind turns into the exception. `status` must not be OK.
[[noreturn]] void Raise(const Status& status);

inline void RaiseIfError(const Status& status) {
  if (!status.ok()) Raise(status);
}

template <typename T>
T Unwrap(Result<T> result) {
  if (!result.ok()) Raise(result.status());
  return std::move(result).ValueUnsafe();
}

}  // namespace fletching::python
