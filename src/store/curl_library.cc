#include "store/curl_library.h"

#include "base/system_library.h"

namespace fletching::store {
namespace {

Result<CurlLibrary> Load() {
  ARROW_ASSIGN_OR_RAISE(const SystemLibrary library,
                        SystemLibrary::Open("libcurl.so.4", "libcurl4"));
  CurlLibrary curl{};
  ARROW_RETURN_NOT_OK(library.Find("curl_global_init", &curl.global_init));
  ARROW_RETURN_NOT_OK(library.Find("curl_easy_init", &curl.easy_init));
  ARROW_RETURN_NOT_OK(library.Find("curl_easy_cleanup", &curl.easy_cleanup));
  ARROW_RETURN_NOT_OK(library.Find("curl_easy_setopt", &curl.easy_setopt));
  ARROW_RETURN_NOT_OK(library.Find("curl_easy_getinfo", &curl.easy_getinfo));
  ARROW_RETURN_NOT_OK(library.Find("curl_easy_strerror", &curl.easy_strerror));
  ARROW_RETURN_NOT_OK(library.Find("curl_slist_append", &curl.slist_append));
  ARROW_RETURN_NOT_OK(library.Find("curl_slist_free_all", &curl.slist_free_all));
  ARROW_RETURN_NOT_OK(library.Find("curl_multi_init", &curl.multi_init));
  ARROW_RETURN_NOT_OK(library.Find("curl_multi_cleanup", &curl.multi_cleanup));
  ARROW_RETURN_NOT_OK(library.Find("curl_multi_setopt", &curl.multi_setopt));
  ARROW_RETURN_NOT_OK(library.Find("curl_multi_add_handle", &curl.multi_add_handle));
  ARROW_RETURN_NOT_OK(library.Find("curl_multi_remove_handle", &curl.multi_remove_handle));
  ARROW_RETURN_NOT_OK(library.Find("curl_multi_perform", &curl.multi_perform));
  ARROW_RETURN_NOT_OK(library.Find("curl_multi_info_read", &curl.multi_info_read));
  ARROW_RETURN_NOT_OK(library.Find("curl_multi_poll", &curl.multi_poll));
  ARROW_RETURN_NOT_OK(library.Find("curl_multi_wakeup", &curl.multi_wakeup));
  if (curl.global_init(CURL_GLOBAL_ALL) != CURLE_OK) return Unsupported("libcurl does not start");
  return curl;
}

}  // namespace

Result<const CurlLibrary*> LoadCurl() {
  static const Result<CurlLibrary> loaded = Load();
  if (!loaded.ok()) return loaded.status();
  return &*loaded;
}

}  // namespace fletching::store
