// The root of a remote: one small object that says what all tables are made of, replaced as a
// whole. Encoding and decoding only.
//
//   RemoteRootHeader | payload (fields below in this order, as in a manifest)
//
// A writer puts it on condition that it is still the one it put last, so two writers cannot both go
// on; a reader that has one has every table at one moment.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fletching/status.h"

#include "base/bytes.h"
#include "format/manifest.h"

namespace fletching::format {

inline constexpr uint64_t kRemoteRootMagic = 0x1a0a0d544f524c46;  // "FLROT" CR LF 0x1a
inline constexpr uint32_t kRemoteRootVersion = 1;

using RemoteRootHeader = PayloadHeader;

struct RemoteTable {
  uint64_t id = 0;                    // names the table's folder
  std::string manifest;               // the bytes of a manifest file
  std::vector<std::string> segments;  // objects, as many as the manifest has segments, in its order
};

struct RemoteRoot {
  uint64_t sequence = 0;  // one more than the root before
  std::string writer_id;  // who put it: only that node puts the next, until another is promoted
  int64_t published_time_us = 0;
  std::vector<RemoteTable> tables;  // by id
};

std::vector<uint8_t> EncodeRemoteRoot(const RemoteRoot& root);

// `where` is only used in errors. Errors: kCorruption naming it and the offset; kUnsupported for a
// version newer than ours, saying so.
Result<RemoteRoot> DecodeRemoteRoot(ByteSpan bytes, const std::string& where);

}  // namespace fletching::format
