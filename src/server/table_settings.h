// The member `tables` of a configuration file: tables that load themselves.
//
//   tables:
//     docs:
//       source:
//         s3: {bucket: features, prefix: docs, region: eu-west-1, endpoint:
//         "http://127.0.0.1:7070"} # or  local: {path: /data/docs}
//         # or iceberg: {metadata: s3://features/warehouse/docs}, or {table: db.docs, catalog:
//         # {type: rest, uri: "http://..."}}; also region, endpoint, timeout
//       poll_interval: 5m       # how often the source is looked at
//       parts: 8                # segments of a generation
//       layout: dated           # YYYY-MM-DD/ with _SUCCESS; or plain: every Parquet file below,
//                               # or hive: the same, folders name=value are columns
//       min_rows_ratio: 0.5     # a load with fewer rows than this part of the last is refused
//       key: [doc_id]
//       columns:
//         doc_id: {dtype: utf8, nullable: false}
//         score: {dtype: float32}
#pragma once

#include <string>
#include <vector>

#include "fletching/status.h"

#include "pull/pulled_table.h"

namespace fletching::server {

// Errors: kInvalidArgument naming file, line and setting, with the nearest known name.
Result<std::vector<pull::PulledTable>> ReadTableSettings(const std::string& file);

}  // namespace fletching::server
