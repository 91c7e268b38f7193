// FLETCHING_CHECK: our own mistakes stop the process and say what was believed.
// Never used on bytes from disk or wire: those are a Status (Corruption or InvalidArgument).
#pragma once

namespace fletching::internal {
[[noreturn]] void CheckFailed(const char* file, int line, const char* believed);
}

#define FLETCHING_CHECK(condition)                                          \
  (__builtin_expect(!(condition), 0)                                        \
       ? ::fletching::internal::CheckFailed(__FILE__, __LINE__, #condition) \
       : void(0))
