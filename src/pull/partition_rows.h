// The rows of a partition's files, one file after the other. Stage: fetch.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "arrow/type_fwd.h"

#include "fletching/schema.h"
#include "fletching/status.h"

#include "pull/partition.h"
#include "pull/source.h"

namespace fletching::pull {

struct PartitionRowsOptions {
  bool hive_columns = false;       // folders name=value are columns, before those of the file
  std::string spool_folder;        // for distant files; each is removed as soon as it is open
  std::function<Status()> check;   // now and then; an error ends the rows. May be empty
  std::function<Status()> at_end;  // after the last row; an error ends them all the same
};

// Columns of `schema` and no others, in its order, whatever else the files hold. Every value is
// checked before it is seen. Errors, each naming the file: kSchemaMismatch for a missing column,
// and for a folder's name that is no value of its column's type; kInvalidArgument for a file that
// cannot be decoded; kUnavailable.
Result<std::shared_ptr<arrow::RecordBatchReader>> OpenPartitionRows(const Source& source,
                                                                    const Partition& partition,
                                                                    const TableSchema& schema,
                                                                    PartitionRowsOptions options);

}  // namespace fletching::pull
