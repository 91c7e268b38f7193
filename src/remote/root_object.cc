#include "remote/root_object.h"

#include <array>
#include <cstdio>
#include <random>
#include <utility>

namespace fletching::remote {

Result<std::optional<FoundRoot>> ReadRoot(store::ObjectStore* store,
                                          const store::CallOptions& call) {
  store::GetOptions options;
  options.call = call;
  auto got = store->Get(kRootKey, options);
  if (!got.ok() && CodeOf(got.status()) == ErrorCode::kNotFound) {
    // No root, or no bucket: only a listing tells.
    store::ListOptions list;
    list.entries_max = 1;
    list.call = call;
    ARROW_RETURN_NOT_OK(store->List("", list).status());
    return std::nullopt;
  }
  ARROW_RETURN_NOT_OK(got.status());
  FoundRoot found;
  ARROW_ASSIGN_OR_RAISE(found.root,
                        format::DecodeRemoteRoot(got->bytes, store->url() + "/" + kRootKey));
  found.etag = got->info.etag;
  return found;
}

Result<std::string> PutRoot(store::ObjectStore* store, const format::RemoteRoot& next,
                            const std::string& etag, const store::CallOptions& call) {
  const std::vector<uint8_t> bytes = format::EncodeRemoteRoot(next);
  auto put = etag.empty() ? store->PutIfAbsent(kRootKey, bytes, call)
                          : store->PutIfMatch(kRootKey, bytes, etag, call);
  if (put.ok()) return put->etag;
  const ErrorCode code = CodeOf(put.status());
  if (code == ErrorCode::kAlreadyExists || code == ErrorCode::kNotFound) return put.status();
  // Nobody knows whether it arrived; what is there now tells.
  auto now = ReadRoot(store, call);
  if (!now.ok() || !now->has_value()) return put.status();
  const FoundRoot& found = **now;
  if (found.root.sequence == next.sequence && found.root.writer_id == next.writer_id &&
      found.root.published_time_us == next.published_time_us) {
    return found.etag;
  }
  if (found.etag != etag) {
    return MakeError(ErrorCode::kAlreadyExists,
                     store->url() + "/" + kRootKey + " was put by somebody else meanwhile");
  }
  return put.status();
}

std::string NewWriterId() {
  std::random_device random;
  std::string id;
  for (int i = 0; i < 4; ++i) {
    std::array<char, 9> hex;
    std::snprintf(hex.data(), hex.size(), "%08x", random());
    id += hex.data();
  }
  return id;
}

}  // namespace fletching::remote
