#include "table/prepare.h"

#include <set>
#include <string_view>
#include <utility>

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "format/log_layout.h"

namespace fletching::table {
namespace {

using segment::KeyBatch;
using segment::PhysicalColumn;

Status NameColumn(const Status& status, const std::string& name) {
  if (status.ok()) return Status::OK();
  return MakeError(CodeOf(status), "column '" + name + "': " + status.message());
}

// The column as the schema's type, validated, without nulls where none may be.
Result<std::shared_ptr<arrow::Array>> CheckedColumn(const BatchCaster& caster,
                                                    const std::shared_ptr<arrow::Array>& column,
                                                    const ColumnSchema& wanted, bool may_be_null) {
  ARROW_RETURN_NOT_OK(NameColumn(caster.Validate(*column), wanted.name));
  std::shared_ptr<arrow::Array> checked = column;
  if (!column->type()->Equals(*wanted.type)) {
    auto cast = caster.Cast(column, wanted.type, wanted.strict);
    ARROW_RETURN_NOT_OK(NameColumn(cast.status(), wanted.name));
    checked = *std::move(cast);
  }
  if (!may_be_null && checked->null_count() > 0) {
    int64_t row = 0;
    while (checked->IsValid(row)) ++row;
    return SchemaMismatch("column '" + wanted.name + "' has a null in row " + std::to_string(row) +
                          ", but may not be null");
  }
  return checked;
}

// The batch's columns by place: TableState::FindPlace. Null where the batch has none.
Result<std::vector<std::shared_ptr<arrow::Array>>> ColumnsByPlace(const TableState& state,
                                                                  const arrow::RecordBatch& batch,
                                                                  bool ignore_extra_columns) {
  std::vector<std::shared_ptr<arrow::Array>> columns(state.PlaceCount());
  std::set<std::string_view> extra;
  const arrow::FieldVector& fields = batch.schema()->fields();
  for (size_t i = 0; i < fields.size(); ++i) {
    const std::string& name = fields[i]->name();
    // Most batches come in the order of the schema.
    const int32_t place = i < columns.size() && state.ColumnAt(i).name == name
                              ? static_cast<int32_t>(i)
                              : state.FindPlace(name);
    const bool occurs_twice = place < 0 ? !extra.insert(name).second : columns[place] != nullptr;
    if (occurs_twice) return SchemaMismatch("column '" + name + "' occurs twice in the batch");
    if (place < 0) continue;
    columns[place] = batch.column(static_cast<int>(i));
    if (columns[place]->length() != batch.num_rows()) {
      return SchemaMismatch("column '" + name + "' has " +
                            std::to_string(columns[place]->length()) + " values in a batch of " +
                            std::to_string(batch.num_rows()) + " rows");
    }
  }
  if (!extra.empty() && !ignore_extra_columns) {
    return SchemaMismatch("column '" + std::string(*extra.begin()) +
                          "' is not in the table's schema; drop it from the batch or add it to "
                          "the table first");
  }
  return columns;
}

}  // namespace

segment::RowBatch PreparedBatch::Rows() const {
  segment::RowBatch rows;
  rows.keys = &keys;
  rows.columns = columns;
  rows.tombstones = tombstones.empty() ? nullptr : tombstones.data();
  rows.times_us = times_us.empty() ? nullptr : times_us.data();
  return rows;
}

Result<PreparedBatch> PrepareBatch(const TableState& state, const BatchCaster& caster,
                                   const arrow::RecordBatch& batch, WriteMode mode,
                                   bool ignore_extra_columns, int64_t now_us) {
  ARROW_ASSIGN_OR_RAISE(const auto columns, ColumnsByPlace(state, batch, ignore_extra_columns));
  PreparedBatch prepared;
  prepared.row_count = batch.num_rows();
  KeyArrays keys;
  const size_t key_count = state.key_columns.size();
  for (size_t i = 0; i < key_count; ++i) {
    const ColumnSchema& wanted = state.key_columns[i];
    if (columns[i] == nullptr) {
      return SchemaMismatch("key column '" + wanted.name + "' is missing");
    }
    ARROW_ASSIGN_OR_RAISE(auto checked, CheckedColumn(caster, columns[i], wanted, false));
    keys.push_back(std::move(checked));
  }
  ARROW_ASSIGN_OR_RAISE(prepared.keys, segment::EncodeKeys(keys));
  prepared.columns.reserve(state.value_columns.size());
  for (size_t i = 0; i < state.value_columns.size(); ++i) {
    const ColumnSchema& wanted = state.value_columns[i];
    const std::shared_ptr<arrow::Array>& column = columns[key_count + i];
    const bool is_event_time = static_cast<int32_t>(i) == state.event_time_index;
    if (column == nullptr) {
      if (mode == WriteMode::kReplace) {
        return SchemaMismatch("column '" + wanted.name +
                              "' is missing; a write carries every column, or says mode=patch");
      }
      if (is_event_time) {
        return SchemaMismatch("column '" + wanted.name +
                              "' is the event time; a patch must carry it too");
      }
      prepared.columns.emplace_back();
      prepared.is_given.push_back(false);
      continue;
    }
    ARROW_ASSIGN_OR_RAISE(auto checked,
                          CheckedColumn(caster, column, wanted, wanted.nullable && !is_event_time));
    ARROW_ASSIGN_OR_RAISE(auto physical, segment::MakePhysical(checked));
    prepared.columns.push_back(std::move(physical));
    prepared.is_given.push_back(true);
  }
  if (state.full_layout.time_offset >= 0) {
    prepared.times_us.assign(static_cast<size_t>(prepared.row_count), now_us);
  }
  return prepared;
}

Result<KeyBatch> PrepareKeys(const TableState& state, const BatchCaster& caster,
                             const KeyArrays& keys) {
  const std::vector<std::string>& names = state.schema.key;
  if (keys.size() != names.size()) {
    return InvalidArgument("the key of this table has " + std::to_string(names.size()) +
                           " columns, " + std::to_string(keys.size()) + " were given");
  }
  KeyArrays checked;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (keys[i]->length() != keys[0]->length()) {
      return InvalidArgument("key columns have different lengths");
    }
    // A request's utf8 keys are only compared as bytes: broken UTF-8 is merely never found. Their
    // offsets are another matter.
    ARROW_RETURN_NOT_OK(keys[i]->Validate());
    if (keys[i]->null_count() > 0) {
      return InvalidArgument("key column '" + names[i] + "' has nulls; keys are never null");
    }
    if (keys[i]->type()->Equals(*state.key_types[i])) {
      checked.push_back(keys[i]);
      continue;
    }
    ARROW_RETURN_NOT_OK(NameColumn(caster.Validate(*keys[i]), names[i]));
    auto cast = caster.Cast(keys[i], state.key_types[i], true);
    ARROW_RETURN_NOT_OK(NameColumn(cast.status(), names[i]));
    checked.push_back(*std::move(cast));
  }
  return segment::EncodeKeys(checked);
}

Result<PreparedBatch> PrepareDelete(const TableState& state, KeyBatch keys, int64_t event_time_us,
                                    int64_t now_us) {
  PreparedBatch prepared;
  prepared.row_count = keys.count;
  prepared.keys = std::move(keys);
  prepared.tombstones.assign(static_cast<size_t>(prepared.row_count), 1);
  prepared.columns.resize(state.value_columns.size());
  prepared.is_given.assign(state.value_columns.size(), true);
  if (state.event_time_index >= 0) {
    auto times = std::make_shared<std::vector<int64_t>>(static_cast<size_t>(prepared.row_count),
                                                        state.MicrosToEvent(event_time_us));
    PhysicalColumn& column = prepared.columns[static_cast<size_t>(state.event_time_index)];
    column.values = reinterpret_cast<const uint8_t*>(times->data());
    column.width = 8;
    column.owners.push_back(std::move(times));
  }
  if (state.full_layout.time_offset >= 0) {
    prepared.times_us.assign(static_cast<size_t>(prepared.row_count), now_us);
  }
  return prepared;
}

segment::RowBatch RowsForLayout(const TableState& state, const PreparedBatch& batch,
                                const segment::RowLayout& layout) {
  segment::RowBatch rows = batch.Rows();
  rows.columns.clear();
  for (const segment::LayoutColumn& column : layout.columns) {
    for (size_t i = 0; i < state.value_columns.size(); ++i) {
      if (state.value_columns[i].id == column.column_id) {
        rows.columns.push_back(batch.columns[i]);
        break;
      }
    }
  }
  return rows;
}

Status EncodeLogRows(const TableState& state, const PreparedBatch& batch,
                     std::vector<uint8_t>* rows_out) {
  std::vector<uint64_t> starts;
  std::vector<uint32_t> sizes;
  const auto gap = static_cast<uint32_t>(sizeof(format::RowPrefix));
  ARROW_RETURN_NOT_OK(segment::EncodeRows(state.full_layout, batch.Rows(), 0, batch.row_count, gap,
                                          rows_out, &starts, &sizes));
  for (size_t i = 0; i < starts.size(); ++i) {
    StoreAs(rows_out->data() + starts[i] - gap, format::RowPrefix{0, 0, sizes[i]});
  }
  return Status::OK();
}

}  // namespace fletching::table
