// A body that was written to a file because it is large, mapped so that decoding copies none of it.
#pragma once

#include <memory>
#include <string>

#include "arrow/type_fwd.h"

#include "fletching/status.h"

namespace arrow::io {
class FileInterface;
class RandomAccessFile;
}  // namespace arrow::io

namespace fletching::ingest {

// For OpenIpcStream and OpenParquet alike; BytesOf serves ParseJsonColumns. The file may be removed
// as soon as this returns, but must not shrink before the last buffer is gone.
// Errors: kUnavailable with path and errno text.
Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenSpooledBody(const std::string& path);

// Takes the pages read so far out of this process's memory; they stay in the page cache, and
// buffers stay valid. Does nothing for a file that OpenSpooledBody did not open. The two readers
// call it, so that decoding a gigabyte keeps a few megabytes resident.
void ForgetReadPages(const arrow::io::FileInterface& body);

}  // namespace fletching::ingest
