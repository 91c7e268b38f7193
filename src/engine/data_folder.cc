#include "engine/data_folder.h"

#include <vector>

#include "base/ignore_error.h"

namespace fletching::engine {
namespace {

std::string ParentOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

std::string WithoutTrailingSlash(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

// An earlier attempt may have made the folders and failed to sync, so two names are synced whether
// they are new or not; the outer one as far as we may, since the folder it is in can be somebody
// else's.
Status MakeDurableFolder(io::FileSystem* file_system, const std::string& path) {
  std::vector<std::string> parents{ParentOf(path)};
  for (std::string at = path; !file_system->Exists(at); at = parents.back()) {
    if (at != path) parents.push_back(ParentOf(at));
    if (parents.back() == "." || parents.back() == "/") break;
  }
  ARROW_RETURN_NOT_OK(file_system->MakeFolder(path));
  for (const std::string& parent : parents) ARROW_RETURN_NOT_OK(file_system->SyncFolder(parent));
  if (parents.size() == 1) IgnoreError(file_system->SyncFolder(ParentOf(parents[0])));
  return Status::OK();
}

}  // namespace fletching::engine
