// Files of a folder as objects: what they are called, and pages of them by key.
#pragma once

#include <string>

#include "fletching/status.h"

#include "store/object_store.h"

struct stat;

namespace fletching::store {

// Names that begin so are ours: files not yet whole, and the lock.
constexpr char kOwnNames[] = ".fletching-";

// Its etag is made of inode, size and time of change.
ObjectInfo InfoOfFile(const std::string& key, const struct stat& facts);

// Keys are paths below `folder`; one that is not there has none. Cost: every file of the folders
// between the page's first and last key is looked at.
Result<ObjectPage> ListFolder(const std::string& folder, const std::string& prefix,
                              const ListOptions& options);

}  // namespace fletching::store
