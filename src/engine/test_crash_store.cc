#include "engine/test_crash_store.h"

#include <algorithm>
#include <utility>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "table/verify.h"

namespace fletching::engine {
namespace {

using Kind = CrashOp::Kind;
using History = std::vector<std::pair<CrashOp, Outcome>>;

constexpr int kKeyCount = 70;

std::string KeyName(int key) { return "key" + std::to_string(key); }

std::string TextFor(int key, int version) {
  return "op " + std::to_string(version) + " " + std::string(static_cast<size_t>(key % 9), '.');
}

TableSchema CrashSchema() {
  TableSchema schema;
  schema.columns = {{.name = "id", .type = arrow::utf8(), .nullable = false},
                    {.name = "version", .type = arrow::int32(), .nullable = false},
                    {.name = "text", .type = arrow::utf8()}};
  schema.key = {"id"};
  return schema;
}

template <typename Builder, typename Make>
std::shared_ptr<arrow::Array> Column(int first, int count, Make make) {
  Builder builder;
  for (int key = first; key < first + count; ++key) FLETCHING_CHECK(builder.Append(make(key)).ok());
  return builder.Finish().ValueOrDie();
}

std::shared_ptr<arrow::Array> KeyColumn(int first, int count) {
  return Column<arrow::StringBuilder>(first, count, KeyName);
}

std::shared_ptr<arrow::RecordBatchReader> RowsOf(const CrashOp& op, const TableSchema& schema) {
  std::vector<std::shared_ptr<arrow::Field>> fields;
  std::vector<std::shared_ptr<arrow::Array>> columns;
  const auto add = [&](const std::string& name, std::shared_ptr<arrow::Array> column) {
    fields.push_back(arrow::field(name, column->type()));
    columns.push_back(std::move(column));
  };
  const auto numbers = [&](int) { return op.number; };
  for (const ColumnSchema& column : schema.columns) {
    if (column.name == "id") {
      add("id", KeyColumn(op.first_key, op.key_count));
    } else if (column.name == "text") {
      add("text", Column<arrow::StringBuilder>(op.first_key, op.key_count,
                                               [&](int key) { return TextFor(key, op.number); }));
    } else {
      add(column.name, Column<arrow::Int32Builder>(op.first_key, op.key_count, numbers));
    }
  }
  if (op.kind == Kind::kPatch) {
    std::vector<std::shared_ptr<arrow::Field>> kept = {fields[0], fields[2]};
    return arrow::RecordBatchReader::Make(
               {arrow::RecordBatch::Make(arrow::schema(kept), op.key_count,
                                         {columns[0], columns[2]})})
        .ValueOrDie();
  }
  return arrow::RecordBatchReader::Make(
             {arrow::RecordBatch::Make(arrow::schema(fields), op.key_count, columns)})
      .ValueOrDie();
}

void ApplyWrite(const CrashOp& op, CrashTable* table) {
  for (int key = op.first_key; key < op.first_key + op.key_count; ++key) {
    if (op.kind == Kind::kDelete) {
      table->rows.erase(key);
    } else if (op.kind == Kind::kPatch) {
      const auto row = table->rows.find(key);
      if (row != table->rows.end()) row->second.text_version = op.number;
    } else {
      table->rows[key] = {op.number, op.number, table->columns_added};
    }
  }
}

void ApplyReplace(const CrashOp& op, CrashTable* table) {
  CrashTable next;
  next.generation = op.number;
  if (table->generation != 0) next.previous = std::make_shared<CrashTable>(*table);
  ApplyWrite(op, &next);
  *table = std::move(next);
}

void ApplyRollBack(CrashTable* table) {
  if (table->previous == nullptr) return;
  CrashTable back = *table->previous;
  table->previous.reset();
  back.previous = std::make_shared<CrashTable>(*table);
  *table = std::move(back);
}

void ApplyOp(const CrashOp& op, CrashState* state) {
  if (op.kind == Kind::kCreate) {
    (*state)[op.table];
    return;
  }
  const auto table = state->find(op.table);
  if (table == state->end()) return;
  switch (op.kind) {
    case Kind::kDrop:
      state->erase(table);
      return;
    case Kind::kAddColumn:
      ++table->second.columns_added;
      return;
    case Kind::kWiden:
      table->second.is_wide = true;
      return;
    case Kind::kReplace:
      ApplyReplace(op, &table->second);
      return;
    case Kind::kRollBack:
      ApplyRollBack(&table->second);
      return;
    case Kind::kWrite:
    case Kind::kPatch:
    case Kind::kDelete:
      ApplyWrite(op, &table->second);
      return;
    default:
      return;
  }
}

int64_t NumberAt(const arrow::Array& column, int64_t row) {
  return std::stoll(CellOf(column, row).value_or("i-1").substr(1));
}

// One row as an engine shows it. `text` says the key it is for.
Result<CrashRow> ReadRow(const arrow::RecordBatch& batch, int64_t row, int key) {
  CrashRow found;
  found.version = static_cast<int>(NumberAt(*batch.GetColumnByName("version"), row));
  const std::string text = CellOf(*batch.GetColumnByName("text"), row).value_or("s-").substr(1);
  if (!text.starts_with("op ")) return MakeError(ErrorCode::kInternal, "text is " + text);
  found.text_version = std::atoi(text.c_str() + 3);
  if (text != TextFor(key, found.text_version)) {
    return MakeError(ErrorCode::kInternal, "torn text " + text);
  }
  for (const auto& field : batch.schema()->fields()) {
    if (!field->name().starts_with("more")) continue;
    const auto column = batch.GetColumnByName(field->name());
    if (column->IsNull(row)) continue;
    ++found.columns_added;
    if (NumberAt(*column, row) != found.version) {
      return MakeError(ErrorCode::kInternal, "row of two versions, key " + std::to_string(key));
    }
  }
  return found;
}

Status ObserveTable(Engine& engine, const std::string& name, CrashTable* table) {
  ARROW_ASSIGN_OR_RAISE(const auto reader, engine.Scan({.table = name}));
  std::shared_ptr<arrow::RecordBatch> batch;
  while (true) {
    ARROW_RETURN_NOT_OK(reader->ReadNext(&batch));
    if (batch == nullptr) break;
    ARROW_RETURN_NOT_OK(batch->ValidateFull());
    for (int64_t row = 0; row < batch->num_rows(); ++row) {
      const std::string id = CellOf(*batch->GetColumnByName("id"), row)->substr(1);
      const int key = std::atoi(id.c_str() + 3);
      ARROW_ASSIGN_OR_RAISE(const CrashRow found, ReadRow(*batch, row, key));
      if (!table->rows.emplace(key, found).second) {
        return MakeError(ErrorCode::kInternal, "scan shows " + id + " twice");
      }
    }
  }
  ARROW_ASSIGN_OR_RAISE(const auto result,
                        engine.Read({.table = name, .keys = {KeyColumn(0, kKeyCount)}}));
  for (int key = 0; key < kKeyCount; ++key) {
    const bool is_found = GetBit(result.found->data(), key);
    const auto scanned = table->rows.find(key);
    if (is_found != (scanned != table->rows.end())) {
      return MakeError(ErrorCode::kInternal, "scan and read disagree about " + KeyName(key));
    }
    if (!is_found) continue;
    ARROW_ASSIGN_OR_RAISE(const CrashRow found, ReadRow(*result.batch, key, key));
    if (found != scanned->second) {
      return MakeError(ErrorCode::kInternal, "scan and read show two rows of " + KeyName(key));
    }
  }
  return Status::OK();
}

}  // namespace

bool ChangesData(Kind kind) {
  return kind != Kind::kFlush && kind != Kind::kCompact && kind != Kind::kReopen;
}

std::string CrashOp::Text() const {
  static const char* const kNames[] = {"create",    "drop",  "write",   "patch",
                                       "delete",    "add",   "widen",   "replace",
                                       "roll back", "flush", "compact", "reopen"};
  return std::to_string(number) + " " + kNames[static_cast<int>(kind)] + " " + table + " keys " +
         std::to_string(first_key) + "+" + std::to_string(key_count);
}

CrashState Simulate(const History& ops, const std::vector<bool>& applied) {
  CrashState state;
  for (size_t i = 0; i < ops.size(); ++i) {
    if (applied[i]) ApplyOp(ops[i].first, &state);
  }
  return state;
}

Result<CrashState> Observe(Engine& engine) {
  CrashState state;
  for (const TableInfo& info : engine.ListTables()) {
    ARROW_RETURN_NOT_OK(info.health);
    CrashTable& table = state[info.name];
    for (const ColumnSchema& column : info.schema.columns) {
      table.columns_added += column.name.starts_with("more") ? 1 : 0;
      if (column.name == "version") table.is_wide = column.type->id() == arrow::Type::INT64;
    }
    if (info.generation.has_value() && !info.generation->name.empty()) {
      table.generation = std::stoi(info.generation->name.substr(1));  // "g12"
    }
    ARROW_RETURN_NOT_OK(ObserveTable(engine, info.name, &table));
  }
  return state;
}

std::string StateText(const CrashState& state) {
  std::string text;
  for (const auto& [name, table] : state) {
    text += name + " (" + std::to_string(table.columns_added) + (table.is_wide ? " wide" : "") +
            (table.generation != 0 ? " g" + std::to_string(table.generation) : "") + "):";
    for (const auto& [key, row] : table.rows) {
      text += " " + std::to_string(key) + "=" + std::to_string(row.version) + "/" +
              std::to_string(row.text_version) + "/" + std::to_string(row.columns_added);
    }
    text += "\n";
  }
  return text;
}

std::string Complaint(const History& ops, const CrashState& state) {
  std::vector<size_t> open;
  std::vector<bool> applied(ops.size(), true);
  for (size_t i = 0; i < ops.size(); ++i) {
    if (ops[i].second == Outcome::kMaybe && ChangesData(ops[i].first.kind)) open.push_back(i);
  }
  FLETCHING_CHECK(open.size() <= 12);
  for (uint64_t choice = 0; choice < (uint64_t{1} << open.size()); ++choice) {
    for (size_t i = 0; i < open.size(); ++i) applied[open[i]] = (choice >> i) & 1;
    if (Simulate(ops, applied) == state) return "";
  }
  for (const size_t i : open) applied[i] = false;
  std::string text =
      "found\n" + StateText(state) + "instead of\n" + StateText(Simulate(ops, applied)) + "after\n";
  for (const auto& [op, outcome] : ops) {
    text += op.Text() + (outcome == Outcome::kMaybe ? " (maybe)\n" : "\n");
  }
  return text;
}

std::vector<CrashOp> RandomOps(uint64_t seed, int count) {
  Random random(seed);
  std::vector<CrashOp> ops = {{.kind = Kind::kCreate, .table = "a", .number = 1},
                              {.kind = Kind::kCreate, .table = "g", .number = 2}};
  bool has_b = false;
  int columns = 0;
  while (static_cast<int>(ops.size()) < count) {
    CrashOp op;
    op.number = static_cast<int>(ops.size()) + 1;
    op.table = has_b && random.Chance(25) ? "b" : "a";
    op.first_key = static_cast<int>(random.Below(30));
    op.key_count = random.Chance(35) ? 40 : 1 + static_cast<int>(random.Below(3));
    const int64_t choice = random.Below(100);
    op.kind = choice < 50   ? Kind::kWrite
              : choice < 57 ? Kind::kPatch
              : choice < 65 ? Kind::kDelete
              : choice < 75 ? Kind::kFlush
              : choice < 81 ? Kind::kCompact
              : choice < 86 ? Kind::kReopen
              : choice < 90 ? Kind::kAddColumn
              : choice < 92 ? Kind::kWiden
              : has_b       ? Kind::kDrop
                            : Kind::kCreate;
    if (random.Chance(12)) {
      op.table = "g";
      op.kind = random.Chance(70) ? Kind::kReplace : Kind::kRollBack;
    }
    if (op.kind == Kind::kCreate || op.kind == Kind::kDrop) {
      op.table = "b";
      has_b = !has_b;
    }
    if ((op.kind == Kind::kPatch || op.kind == Kind::kDelete) && op.key_count > 10)
      op.key_count = 5;
    if (op.kind == Kind::kAddColumn && ++columns > 3) continue;
    ops.push_back(op);
  }
  return ops;
}

EngineOptions CrashOptions(io::FileSystem* disk, bool background) {
  EngineOptions options;
  options.data_dir = "/data";
  options.file_system = disk;
  options.background_compaction = background;
  options.follow_interval_ms = 0;
  options.memtable_bytes_max = 1 << 16;
  options.small_write_bytes_max = 800;  // 40 rows are a large write, a few are not
  return options;
}

QuietErrors::QuietErrors() { ::testing::internal::CaptureStderr(); }
QuietErrors::~QuietErrors() { ::testing::internal::GetCapturedStderr(); }

Status CrashStore::Open() { return Engine::Open(CrashOptions(disk_, background_)).Value(&engine_); }

History CrashStore::History() const {
  const std::lock_guard lock(mutex_);
  return history_;
}

Status CrashStore::Perform(const CrashOp& op) {
  {
    const std::lock_guard lock(mutex_);
    history_.emplace_back(op, Outcome::kMaybe);
  }
  const Status status = Do(op);
  const std::lock_guard lock(mutex_);
  if (status.ok()) history_.back().second = Outcome::kDone;
  return status;
}

Status CrashStore::Do(const CrashOp& op) {
  switch (op.kind) {
    case Kind::kCreate:
      return engine_->CreateTable(op.table, CrashSchema());
    case Kind::kDrop:
      return engine_->DropTable(op.table);
    case Kind::kWrite:
    case Kind::kPatch: {
      ARROW_ASSIGN_OR_RAISE(const TableInfo info, engine_->GetTable(op.table));
      CrashOp fitting = op;
      if (op.kind == Kind::kPatch) {  // of rows that are there: others would have no version
        CrashTable table;
        ARROW_RETURN_NOT_OK(ObserveTable(*engine_, op.table, &table));
        fitting.key_count = 0;
        while (fitting.key_count < op.key_count &&
               table.rows.contains(op.first_key + fitting.key_count)) {
          ++fitting.key_count;
        }
        const std::lock_guard lock(mutex_);
        history_.back().first = fitting;
      }
      const auto rows = RowsOf(fitting, info.schema);
      return engine_
          ->Write({.table = op.table,
                   .mode = op.kind == Kind::kPatch ? WriteMode::kPatch : WriteMode::kReplace},
                  rows.get())
          .status();
    }
    case Kind::kDelete:
      return engine_->Delete({.table = op.table, .keys = {KeyColumn(op.first_key, op.key_count)}})
          .status();
    case Kind::kAddColumn:
      return engine_->AddColumn(
          op.table, {.name = "more" + std::to_string(op.number), .type = arrow::int32()});
    case Kind::kWiden:
      return engine_->WidenColumn(op.table, "version", arrow::int64());
    case Kind::kReplace: {
      const auto rows = RowsOf(op, CrashSchema());
      return engine_
          ->Replace({.table = op.table,
                     .generation = "g" + std::to_string(op.number),
                     .schema = CrashSchema(),
                     .segment_count = 1 + op.number % 3},
                    rows.get())
          .status();
    }
    case Kind::kRollBack: {
      const Status status = engine_->RollBack(op.table);
      const bool none = !status.ok() && CodeOf(status) == ErrorCode::kNotFound;
      return none ? Status::OK() : status;
    }
    case Kind::kFlush:
      return engine_->Flush(op.table);
    case Kind::kCompact:
      return engine_->Compact(op.table);
    case Kind::kReopen:
      engine_.reset();
      return Open();
  }
  return Status::OK();
}

std::vector<std::string> FindDamage(io::FileSystem* disk) {
  VerifyReport report;
  const auto folders = disk->List("/data/tables");
  if (!folders.ok()) return {};
  for (const io::FolderEntry& folder : *folders) {
    if (!folder.is_folder || folder.name.starts_with(".")) continue;
    const Status status = table::VerifyTable(disk, "/data/tables/" + folder.name, &report);
    if (!status.ok()) report.damage.push_back(status.ToString());
  }
  return report.damage;
}

std::vector<std::string> FindLeftovers(io::FileSystem* disk) {
  VerifyReport report;
  const auto folders = disk->List("/data/tables");
  if (!folders.ok()) return {};
  for (const io::FolderEntry& folder : *folders) {
    const std::string path = "/data/tables/" + folder.name;
    if (!folder.is_folder || folder.name.starts_with(".")) {
      report.orphans.push_back(path);
    } else if (!table::VerifyTable(disk, path, &report).ok()) {
      report.orphans.push_back(path);
    }
  }
  return report.orphans;
}

std::string CheckDisk(io::FileSystem* disk, const History& history, bool goes_on) {
  const std::vector<std::string> damage = FindDamage(disk);
  if (!damage.empty()) return "verify, before opening: " + damage[0];
  CrashStore store(disk, false);
  Status status = store.Open();
  if (!status.ok()) return "open: " + status.ToString();
  const auto state = Observe(*store.engine());
  if (!state.ok()) return "observe: " + state.status().ToString();
  const std::string complaint = Complaint(history, *state);
  if (!complaint.empty()) return complaint;
  store.Close();  // its own thread may be at work until then
  const std::vector<std::string> leftovers = FindLeftovers(disk);
  if (!leftovers.empty()) return "left behind: " + leftovers[0];
  if (!goes_on) return "";
  status = store.Open();
  if (!status.ok()) return "open after closing: " + status.ToString();

  CrashState expected = *state;
  for (auto& [name, table] : expected) {
    for (const int key_count : {2, 40}) {
      const bool is_loaded = table.generation != 0;
      const CrashOp op{is_loaded ? Kind::kReplace : Kind::kWrite, name, 5, key_count,
                       900 + key_count};
      status = store.Perform(op);
      if (!status.ok()) return "write: " + status.ToString();
      is_loaded ? ApplyReplace(op, &table) : ApplyWrite(op, &table);
    }
  }
  status = store.Perform({.kind = Kind::kReopen});
  if (!status.ok()) return "open again: " + status.ToString();
  const auto again = Observe(*store.engine());
  if (!again.ok()) return "observe again: " + again.status().ToString();
  if (*again != expected)
    return "after writing, found\n" + StateText(*again) + "instead of\n" + StateText(expected);
  return "";
}

}  // namespace fletching::engine
