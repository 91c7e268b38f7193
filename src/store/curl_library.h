// The system's libcurl, loaded when the first S3 store is opened.
//
// Not linked, for two reasons. libparquet of the wheel exports the names of libcrypto, and a
// libcurl on the link line would call that copy from its own OpenSSL (docs/decisions/0008). And the
// system's libcurl brings its certificates and its security updates, which one inside our wheel
// would not.
#pragma once

#include <curl/curl.h>

#include "fletching/status.h"

namespace fletching::store {

struct CurlLibrary {
  decltype(&::curl_global_init) global_init;
  decltype(&::curl_easy_init) easy_init;
  decltype(&::curl_easy_cleanup) easy_cleanup;
  decltype(&::curl_easy_setopt) easy_setopt;
  decltype(&::curl_easy_getinfo) easy_getinfo;
  decltype(&::curl_easy_strerror) easy_strerror;
  decltype(&::curl_slist_append) slist_append;
  decltype(&::curl_slist_free_all) slist_free_all;
  decltype(&::curl_multi_init) multi_init;
  decltype(&::curl_multi_cleanup) multi_cleanup;
  decltype(&::curl_multi_setopt) multi_setopt;
  decltype(&::curl_multi_add_handle) multi_add_handle;
  decltype(&::curl_multi_remove_handle) multi_remove_handle;
  decltype(&::curl_multi_perform) multi_perform;
  decltype(&::curl_multi_info_read) multi_info_read;
  decltype(&::curl_multi_poll) multi_poll;
  decltype(&::curl_multi_wakeup) multi_wakeup;
};

// Lifetime: the process. Errors: kUnsupported naming the package to install.
Result<const CurlLibrary*> LoadCurl();

}  // namespace fletching::store
