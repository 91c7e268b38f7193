// Reads of one version into a matrix of the caller. Stages: locate, gather.
#include <algorithm>
#include <utility>

#include <arrow/array.h>
#include <arrow/buffer.h>

#include "segment/column_output.h"
#include "segment/gather_matrix.h"
#include "table/found_rows.h"
#include "table/read.h"

namespace fletching::table {
namespace {

using segment::KeyBatch;
using segment::RowSelection;
using Columns = std::vector<const ColumnSchema*>;

// Keys looked up before their rows are copied; a multiple of 8, for the bits of those found.
constexpr int64_t kSliceKeys = 16 * 1024;

KeyBatch SliceOf(const KeyBatch& keys, int64_t begin, int64_t end) {
  KeyBatch slice;
  slice.count = end - begin;
  slice.width = keys.width;
  slice.offsets = keys.offsets != nullptr ? keys.offsets + begin : nullptr;
  slice.bytes = keys.offsets != nullptr ? keys.bytes : keys.bytes + begin * keys.width;
  return slice;
}

// Columns that are not packed in the rows of this source: gathered as columns first.
Status GatherOthers(const Source& source, const Columns& columns, const std::vector<size_t>& others,
                    const RowSelection& rows, const MatrixTarget& target) {
  Columns wanted;
  for (const size_t at : others) wanted.push_back(columns[at]);
  // Row i of an array is row rows.At(i) of the matrix.
  const RowSelection in_order{rows.bodies, rows.rows, nullptr, rows.count};
  ARROW_ASSIGN_OR_RAISE(const auto arrays, GatherRows(source, wanted, -1, in_order));
  for (size_t i = 0; i < others.size(); ++i) {
    ARROW_RETURN_NOT_OK(
        FillMatrixColumn(wanted[i]->name, *arrays[i], rows.positions, others[i], target));
  }
  return Status::OK();
}

Status FillMissing(const FoundRows& found, const Columns& columns, int64_t key_count,
                   const MatrixTarget& target) {
  if (found.all_found() || columns.empty()) return Status::OK();
  if (!target.has_fill()) return NullWithoutFill(columns[0]->name);
  for (int64_t i = 0; i < key_count; ++i) {
    if (!found.IsFound(i)) target.FillRow(i);
  }
  return Status::OK();
}

// What it read is not known to have been the file's yet.
Status ReadSlice(const Columns& columns, int64_t key_count, int64_t now_us,
                 const MatrixTarget& target, FoundRows* found) {
  ARROW_RETURN_NOT_OK(found->Locate(now_us));
  ARROW_RETURN_NOT_OK(FillMissing(*found, columns, key_count, target));
  return found->ForEachSource(false, [&](const Source& source, const RowSelection& rows) {
    ARROW_RETURN_NOT_OK(segment::GatherMatrix(source.layout(), columns, rows, target));
    const auto others = segment::ColumnsNotPacked(source.layout(), columns);
    if (others.empty()) return Status::OK();
    return GatherOthers(source, columns, others, rows, target);
  });
}

}  // namespace

Result<MatrixResult> ReadMatrixOf(const Version& version, const KeyBatch& keys,
                                  const Columns& columns, const MatrixRequest& request,
                                  int64_t now_us) {
  ARROW_ASSIGN_OR_RAISE(const MatrixTarget target, MatrixTarget::Make(request.out, request.fill));
  std::vector<uint32_t> column_ids;
  column_ids.reserve(columns.size());
  for (const ColumnSchema* column : columns) {
    ARROW_RETURN_NOT_OK(FindCellConverter(column->name, *column->type, target.type()).status());
    column_ids.push_back(column->id);
  }
  MatrixResult result;
  result.version = version.commit;
  ARROW_ASSIGN_OR_RAISE(result.found, arrow::AllocateBuffer((keys.count + 7) / 8));
  for (int64_t begin = 0; begin < keys.count; begin += kSliceKeys) {
    if (begin > 0 && request.on_progress) ARROW_RETURN_NOT_OK(request.on_progress(begin));
    const KeyBatch slice = SliceOf(keys, begin, std::min(begin + kSliceKeys, keys.count));
    FoundRows found(version, slice, column_ids);
    const Status read = ReadSlice(columns, slice.count, now_us, target.From(begin), &found);
    ARROW_RETURN_NOT_OK(found.CheckIntact());
    ARROW_RETURN_NOT_OK(read);
    found.WriteBits(result.found->mutable_data() + begin / 8);
    result.found_count += found.count();
  }
  return result;
}

}  // namespace fletching::table
