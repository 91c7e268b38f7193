// A table that is loaded from files elsewhere, as a configuration describes it.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "fletching/schema.h"

namespace fletching::pull {

struct SourceSpec {
  enum class Kind : uint8_t { kLocal, kS3, kIceberg };
  Kind kind = Kind::kLocal;
  std::string path = {};      // local: a folder; Iceberg: the table's location or a metadata.json
  std::string bucket = {};    // S3, from here on
  std::string prefix = {};    // may be empty
  std::string region = {};    // empty: as the environment says, else us-east-1
  std::string endpoint = {};  // "http://127.0.0.1:7070"; empty: Amazon's
  std::string table = {};     // Iceberg, instead of a path: "db.orders" in the catalog
  std::map<std::string, std::string> catalog = {};  // how pyiceberg finds it: type, uri, ...
  int64_t silence_ms_max = 60'000;                  // Iceberg: without a byte from the reader
};

// How files lie below the source.
enum class Layout : uint8_t {
  kDated,  // YYYY-MM-DD/*.parquet, complete when _SUCCESS is there; the newest counts
  kPlain,  // *.parquet, all of them, in folders of any name too
  kHive,   // the same; folders name=value are columns, where those are declared
};

struct PulledTable {
  std::string name;
  SourceSpec source;
  Layout layout = Layout::kDated;
  TableSchema schema;
  int64_t poll_interval_ms = 300'000;
  int32_t parts = 1;  // segments of a generation
  double min_rows_ratio =
      0.5;  // a load with fewer rows than this part of those there are is refused
};

}  // namespace fletching::pull
