// The bytes of a request body, in memory or, when large, in an unnamed file.
// Read-only once made; copies share the bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "arrow/type_fwd.h"

#include "fletching/status.h"

namespace arrow::io {
class RandomAccessFile;
}

namespace fletching::api {

struct Body {
  std::shared_ptr<arrow::Buffer> memory;  // aligned to 64 bytes; null when `file` is set
  std::shared_ptr<arrow::io::RandomAccessFile> file;
  int64_t size_bytes = 0;

  bool in_memory() const { return file == nullptr; }
  // What is in memory; empty for a file. Lifetime: that of `memory`.
  std::string_view text() const;
  // The whole as a file, wherever it lies.
  std::shared_ptr<arrow::io::RandomAccessFile> Open() const;
  // The same body in memory. Only for bodies whose size was limited before.
  Result<Body> Loaded() const;

  static Body FromString(std::string text);
  // Of an open file, which may be without a name; mapped, so that decoding copies little. Takes
  // over `file_descriptor` also when it fails. Errors: kUnavailable.
  static Result<Body> FromFile(int file_descriptor, int64_t size_bytes);
};

}  // namespace fletching::api
