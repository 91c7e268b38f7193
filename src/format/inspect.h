// What stands in the bytes of a file of ours, in the words of docs/format.md. Shows what there is
// where a reader would stop. Opens no file.
#pragma once

#include <string>

#include "fletching/request.h"

#include "base/bytes.h"
#include "format/inspection.h"

namespace fletching::format {

enum class FileKind : uint8_t { kManifest, kSegment, kLog, kUnknown };

// By the ending of the name, or else by the first bytes.
FileKind KindOfFile(const std::string& path, ByteSpan bytes);

struct InspectOptions {
  bool show_all = false;       // else the first ten entries of long tables
  bool checks_blocks = false;  // of a segment: reads all of it
};

InspectReport InspectBytes(FileKind kind, ByteSpan bytes, const InspectOptions& options);

// The parts of the above.
void InspectManifest(Inspection* out);
void InspectSegment(bool checks_blocks, Inspection* out);
void InspectLog(Inspection* out);

}  // namespace fletching::format
