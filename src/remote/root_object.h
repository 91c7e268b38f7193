// The root of a remote as an object: read, and put on condition.
#pragma once

#include <optional>
#include <string>

#include "fletching/status.h"

#include "format/remote_root.h"
#include "store/object_store.h"

namespace fletching::remote {

inline constexpr const char* kRootKey = "root";

struct FoundRoot {
  format::RemoteRoot root;
  std::string etag;
};

// Nothing when there is none yet. Errors: kUnsupported for one by a newer program; kCorruption;
// the store's.
Result<std::optional<FoundRoot>> ReadRoot(store::ObjectStore* store,
                                          const store::CallOptions& call);

// Puts `next` in the place of the root of `etag`, or as the first one. -> its etag. When the answer
// got lost the object is looked at, so an OK means that it is there, and kAlreadyExists that
// somebody else's is.
Result<std::string> PutRoot(store::ObjectStore* store, const format::RemoteRoot& next,
                            const std::string& etag, const store::CallOptions& call);

// 32 random hexadecimal digits: who a writer is.
std::string NewWriterId();

}  // namespace fletching::remote
