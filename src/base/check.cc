#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace fletching::internal {

void CheckFailed(const char* file, int line, const char* believed) {
  std::fprintf(stderr, "%s:%d: this must hold but does not: %s\n", file, line, believed);
  std::fflush(stderr);
  std::abort();
}

}  // namespace fletching::internal
