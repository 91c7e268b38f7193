#include "base/system_library.h"

#include <dlfcn.h>
#include <utility>

namespace fletching {
namespace {

#if defined(__has_feature)
#define FLETCHING_CLANG_SANITIZES \
  (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define FLETCHING_CLANG_SANITIZES 0
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || FLETCHING_CLANG_SANITIZES
constexpr int kOwnNamesFirst = 0;  // the sanitizers refuse the flag; their tests have no libparquet
#else
constexpr int kOwnNamesFirst = RTLD_DEEPBIND;
#endif

Status Missing(const std::string& file, const std::string& package, const std::string& why) {
  return Unsupported("this needs " + file + " of the system (" + why + "); fix: apt-get install " +
                     package + ", or the package of your system that has it");
}

}  // namespace

SystemLibrary::SystemLibrary(void* handle, std::string file, std::string package)
    : handle_(handle), file_(std::move(file)), package_(std::move(package)) {}

Result<SystemLibrary> SystemLibrary::Open(const std::string& file, const std::string& package) {
  void* const handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | kOwnNamesFirst);
  if (handle != nullptr) return SystemLibrary(handle, file, package);
  const char* const error = ::dlerror();
  return Missing(file, package, error != nullptr ? error : "it cannot be loaded");
}

Result<void*> SystemLibrary::FindSymbol(const char* name) const {
  void* const found = ::dlsym(handle_, name);
  if (found != nullptr) return found;
  return Missing(file_, package_, std::string("a newer one: this has no ") + name);
}

}  // namespace fletching
