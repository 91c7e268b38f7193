#include "store/curl_library.h"

#include <dlfcn.h>
#include <string>

namespace fletching::store {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kOwnNamesFirst = 0;  // the sanitizers refuse the flag
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr int kOwnNamesFirst = 0;
#else
constexpr int kOwnNamesFirst = RTLD_DEEPBIND;
#endif
#else
// libcurl and what it needs look into themselves before they look at libparquet.
constexpr int kOwnNamesFirst = RTLD_DEEPBIND;
#endif

Status Missing(const std::string& why) {
  return Unsupported("object storage by s3:// needs the system's libcurl 7.68 or newer (" + why +
                     "); fix: apt-get install libcurl4, or the package of your system that has "
                     "libcurl.so.4");
}

Result<CurlLibrary> Load() {
  void* handle = ::dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL | kOwnNamesFirst);
  if (handle == nullptr) {
    const char* error = ::dlerror();
    return Missing(error != nullptr ? error : "it cannot be loaded");
  }
  CurlLibrary library{};
  std::string absent;
  const auto find = [&](const char* name, auto* function) {
    void* const found = ::dlsym(handle, name);
    if (found == nullptr && absent.empty()) absent = name;
    *function = reinterpret_cast<std::remove_pointer_t<decltype(function)>>(found);
  };
  find("curl_global_init", &library.global_init);
  find("curl_version", &library.version);
  find("curl_easy_init", &library.easy_init);
  find("curl_easy_cleanup", &library.easy_cleanup);
  find("curl_easy_setopt", &library.easy_setopt);
  find("curl_easy_getinfo", &library.easy_getinfo);
  find("curl_easy_strerror", &library.easy_strerror);
  find("curl_slist_append", &library.slist_append);
  find("curl_slist_free_all", &library.slist_free_all);
  find("curl_multi_init", &library.multi_init);
  find("curl_multi_cleanup", &library.multi_cleanup);
  find("curl_multi_setopt", &library.multi_setopt);
  find("curl_multi_add_handle", &library.multi_add_handle);
  find("curl_multi_remove_handle", &library.multi_remove_handle);
  find("curl_multi_perform", &library.multi_perform);
  find("curl_multi_info_read", &library.multi_info_read);
  find("curl_multi_poll", &library.multi_poll);
  find("curl_multi_wakeup", &library.multi_wakeup);
  if (!absent.empty()) return Missing("it has no " + absent);
  if (library.global_init(CURL_GLOBAL_ALL) != CURLE_OK) return Missing("it does not start");
  return library;
}

}  // namespace

Result<const CurlLibrary*> LoadCurl() {
  static const Result<CurlLibrary> loaded = Load();
  if (!loaded.ok()) return loaded.status();
  return &*loaded;
}

}  // namespace fletching::store
