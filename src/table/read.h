// Reads of one version. Stages: locate, gather, assemble.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "arrow/type_fwd.h"

#include "fletching/request.h"

#include "segment/keys.h"
#include "table/version.h"

namespace fletching::table {

// Value columns by name, nullopt = all. Errors: kInvalidArgument naming unknown and key columns.
// Lifetime: that of `state`.
Result<std::vector<const ColumnSchema*>> FindColumns(
    const TableState& state, const std::optional<std::vector<std::string>>& names);

// Which value columns an answer has, resolved once per request.
struct Projection {
  std::vector<const ColumnSchema*> columns;
  std::vector<uint32_t> column_ids;       // theirs
  std::shared_ptr<arrow::Schema> schema;  // every field nullable

  // nullopt = all. Each thread keeps its last few, since most requests ask for the columns of the
  // one before: making names, types and a schema of 40 columns takes longer than to find 200 keys.
  // Valid while `state` lives. Errors: kInvalidArgument naming unknown and key columns.
  static Result<std::shared_ptr<const Projection>> Make(
      const TableState& state, const std::optional<std::vector<std::string>>& names);
  static Projection Of(std::vector<const ColumnSchema*> columns);
};

// keys: encoded with the version's key types.
Result<ReadResult> ReadVersion(const Version& version, const segment::KeyBatch& keys,
                               const Projection& projection, bool hits_only, int64_t now_us);

// The same with bare columns, for callers that are not at a door: rows in the order of the keys,
// null where absent.
Result<std::vector<std::shared_ptr<arrow::Array>>> ReadColumns(
    const Version& version, const segment::KeyBatch& keys,
    const std::vector<const ColumnSchema*>& columns, int64_t now_us);

// ReadVersion into request.out, whose shape the caller has checked; its table, keys and columns are
// those given here. Goes over the keys in slices, so that their rows are still in the cache when
// they are copied.
Result<MatrixResult> ReadMatrixOf(const Version& version, const segment::KeyBatch& keys,
                                  const std::vector<const ColumnSchema*>& columns,
                                  const MatrixRequest& request, int64_t now_us);

// Columns of rows that are already located in one source. Deleted rows come out null, whatever lies
// in their slots, but for the column at `event_time_index`: a deletion has an event time too.
Result<std::vector<std::shared_ptr<arrow::Array>>> GatherRows(
    const Source& source, const std::vector<const ColumnSchema*>& columns, int32_t event_time_index,
    const segment::RowSelection& rows);

// One buffer for all fixed-width columns of an answer, cut into 64-byte aligned slices; entries of
// variable columns are null.
Result<std::vector<std::shared_ptr<arrow::Buffer>>> AllocateColumns(
    const std::vector<const ColumnSchema*>& columns, int64_t row_count);

}  // namespace fletching::table
