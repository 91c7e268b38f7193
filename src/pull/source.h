// Where files come from: a folder or a bucket, as Arrow's file systems see them.
#pragma once

#include <memory>
#include <string>

#include "fletching/status.h"

#include "pull/pulled_table.h"

namespace arrow::fs {
class FileSystem;
}

namespace fletching::pull {

struct Source {
  std::shared_ptr<arrow::fs::FileSystem> files;
  std::string root;        // of the table's files, without a slash at the end
  std::string where;       // for people: "s3://bucket/prefix", "/data/docs"
  bool is_remote = false;  // every read is a journey, so files are fetched before they are decoded
};

// S3: keys from the environment, shared files, web identity or the machine, as Amazon's tools have
// them. Retries with growing pauses. Errors: kInvalidArgument.
Result<Source> OpenSource(const SourceSpec& spec);

// Of S3: the spec's, else AWS_ENDPOINT_URL_S3, else AWS_ENDPOINT_URL; empty = Amazon's.
std::string EndpointOf(const SourceSpec& spec);

// Call once before the process ends, when no Source is left: Amazon's library wants to be ended.
void CloseSources();

// A failure of Arrow's file systems in our words: what, where, and what to do about it.
Status SourceError(const Source& source, const Status& status);

}  // namespace fletching::pull
