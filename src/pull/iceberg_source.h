// Iceberg tables, read by a helper in Python (fletching._iceberg_reader), which has the library for
// it. What it prints is taken like any bytes from outside.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "arrow/type_fwd.h"

#include "fletching/schema.h"
#include "fletching/status.h"

#include "pull/pulled_table.h"

namespace fletching::pull {

struct IcebergSnapshot {
  std::string generation;  // "<snapshot's id>@<schema's id>"
  std::string location;    // of the metadata file that says so
  std::string text;        // its time, for people
};

// The helper runs by the interpreter that FLETCHING_PYTHON names, else python3.
// check: several times a second; an error ends the helper.
// Errors: what the helper says, and kUnavailable when it cannot be run, is killed or says nothing.
Result<IcebergSnapshot> FindSnapshot(const SourceSpec& spec, const std::function<Status()>& check);

// Columns of `schema` by name, of the table's types; more of them or another order may be.
Result<std::shared_ptr<arrow::RecordBatchReader>> OpenSnapshotRows(const SourceSpec& spec,
                                                                   const IcebergSnapshot& snapshot,
                                                                   const TableSchema& schema,
                                                                   std::function<Status()> check);

}  // namespace fletching::pull
