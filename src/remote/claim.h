// Making a node the writer of a remote.
#pragma once

#include <string>

#include "fletching/status.h"

#include "store/object_store.h"

namespace fletching::remote {

struct ClaimReport {
  uint64_t sequence = 0;
  int64_t table_count = 0;
  int64_t fetched_bytes = 0;
};

// Fetches everything into `data_dir`, which is empty or a replica's, and puts a root that names
// this folder as the writer's. The writer before is refused from then on. Errors: kNotFound when
// the remote holds nothing; kLocked when the folder is in use; kAlreadyExists when somebody else
// was promoted, or something published, meanwhile: try again.
Result<ClaimReport> Promote(store::ObjectStore* store, const std::string& data_dir,
                            const store::CallOptions& call);

}  // namespace fletching::remote
