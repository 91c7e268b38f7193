// Engine, its answers and its row streams. The GIL is let go around every call into the engine.
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "fletching/engine.h"

#include "python/src/arrow_bridge.h"
#include "python/src/aside.h"
#include "python/src/errors.h"
#include "python/src/gil.h"
#include "python/src/interrupt.h"
#include "python/src/keys.h"
#include "python/src/matrix.h"
#include "python/src/row_stream.h"
#include "sql/sql_door.h"

namespace nb = nanobind;

namespace fletching::python {
namespace {

using Columns = std::optional<std::vector<std::string>>;
// A read of more keys than this may take longer than a user waits after Ctrl-C.
constexpr int64_t kLongReadKeys = 1'000'000;

using RowsAndVersion = std::pair<int64_t, uint64_t>;

// Runs `call` without the GIL, then raises its error or returns its value.
template <typename Call>
auto WithoutGil(const Call& call) {
  auto result = [&] {
    GilReleased released;
    return call();
  }();
  if constexpr (std::is_same_v<decltype(result), Status>) {
    RaiseIfError(result);
  } else {
    return Unwrap(std::move(result));
  }
}

// The engine's thread may free buffers that belong to Python, which takes the GIL: whoever waits
// for that thread must not hold it.
void DeleteEngine(Engine* engine) {
  if (!PyGILState_Check()) {
    delete engine;
    return;
  }
  GilReleased released;
  delete engine;
}

// A scan must not outlive its engine, and Python keeps it as long as it likes.
class OwningReader final : public arrow::RecordBatchReader {
 public:
  OwningReader(std::shared_ptr<Engine> engine, std::shared_ptr<arrow::RecordBatchReader> reader)
      : engine_(std::move(engine)), reader_(std::move(reader)) {}
  std::shared_ptr<arrow::Schema> schema() const override { return reader_->schema(); }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    return reader_->ReadNext(batch);
  }

 private:
  std::shared_ptr<Engine> engine_;  // destroyed after the reader
  std::shared_ptr<arrow::RecordBatchReader> reader_;
};

// Of `sql`: longest time that may be asked for, and what it is if nothing is said.
constexpr int64_t kSqlMs = int64_t{24} * 3'600'000;
constexpr int64_t kSqlDefaultMs = 60'000;

duck::QueryValue QueryValueOf(nb::handle value) {
  if (value.is_none()) return {};
  if (nb::isinstance<nb::bool_>(value)) return {nb::cast<bool>(value)};
  if (nb::isinstance<nb::int_>(value)) return {nb::cast<int64_t>(value)};
  if (nb::isinstance<nb::float_>(value)) return {nb::cast<double>(value)};
  if (nb::isinstance<nb::str>(value)) return {nb::cast<std::string>(value)};
  duck::QueryList list;
  for (const nb::handle member : nb::cast<nb::list>(value)) list.push_back(QueryValueOf(member));
  return {std::move(list)};
}

class PythonEngine {
 public:
  PythonEngine(const std::string& path, const std::string& mode, int64_t memory_budget_bytes) {
    EngineOptions options;
    options.data_dir = path;
    options.memory_budget_bytes = memory_budget_bytes;
    if (mode == "r") {
      options.mode = OpenMode::kReadOnly;
    } else if (mode == "a") {
      options.mode = OpenMode::kAppend;
    } else if (mode == "w") {
      options.mode = OpenMode::kWrite;
    } else {
      Raise(InvalidArgument("mode is \"r\", \"a\" or \"w\", not \"" + mode + "\""));
    }
    auto engine = WithoutGil([&] { return Engine::Open(options); });
    engine_ = std::shared_ptr<Engine>(engine.release(), DeleteEngine);
  }

  void Close() {
    is_closed_ = true;
    while (true) {
      {
        GilReleased released;
        if (WaitForAside(100)) break;
      }
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
    }
    WithoutGil([&] { return engine_->Close(); });
  }

  void CreateTable(const std::string& name, std::vector<ColumnSchema> columns,
                   std::vector<std::string> key, std::string event_time, int64_t ttl_ms) {
    TableSchema schema;
    schema.columns = std::move(columns);
    schema.key = std::move(key);
    schema.event_time = std::move(event_time);
    schema.ttl_ms = ttl_ms;
    WithoutGil([&] { return engine_->CreateTable(name, schema); });
  }

  void DropTable(const std::string& name) {
    WithoutGil([&] { return engine_->DropTable(name); });
  }

  TableInfo GetTable(const std::string& name) const { return Unwrap(engine_->GetTable(name)); }
  std::vector<TableInfo> ListTables() const {
    // The engine has none to list then; here that would read as an empty folder.
    if (is_closed_) Raise(InvalidArgument("this engine is closed"));
    return engine_->ListTables();
  }

  MemoryUsage GetMemoryUsage() const { return engine_->GetMemoryUsage(); }

  RowsAndVersion Write(const std::string& table, nb::handle source, bool patch,
                       const std::optional<nb::callable>& progress) {
    const auto reader = ImportStream(source);
    Interrupt interrupt;
    WriteRequest request;
    request.table = table;
    request.mode = patch ? WriteMode::kPatch : WriteMode::kReplace;
    request.on_progress = [&interrupt, &progress](int64_t row_count) {
      return interrupt.Check("the write was interrupted; nothing was written", [&] {
        if (progress.has_value()) (*progress)(row_count);
      });
    };
    const auto result = [&] {
      GilReleased released;
      return engine_->Write(request, reader.get());
    }();
    interrupt.RaiseIfFailed(result.status());
    const WriteResult written = Unwrap(result);
    return {written.row_count, written.version};
  }

  RowsAndVersion Delete(const std::string& table, const nb::list& keys,
                        std::optional<int64_t> event_time_us) {
    const DeleteRequest request{table, ImportKeys(keys), event_time_us};
    const WriteResult deleted = WithoutGil([&] { return engine_->Delete(request); });
    return {deleted.row_count, deleted.version};
  }

  ReadResult Read(const std::string& table, const nb::list& keys, Columns columns,
                  bool hits_only) const {
    ReadRequest request;
    request.table = table;
    request.keys = ImportKeys(keys);
    request.columns = std::move(columns);
    request.hits_only = hits_only;
    const bool is_long = !request.keys.empty() && request.keys[0]->length() > kLongReadKeys;
    const auto read = [engine = engine_, request = std::move(request)] {
      return engine->Read(request);
    };
    if (is_long) return RunAside<ReadResult>(read);
    return WithoutGil(read);
  }

  std::vector<ReadResult> ReadMany(const std::vector<nb::tuple>& reads) const {
    std::vector<ReadRequest> requests;
    int64_t key_count = 0;
    for (const nb::tuple& read : reads) {
      ReadRequest request;
      request.table = nb::cast<std::string>(read[0]);
      request.keys = ImportKeys(nb::cast<nb::list>(read[1]));
      request.columns = nb::cast<Columns>(read[2]);
      request.hits_only = nb::cast<bool>(read[3]);
      if (!request.keys.empty()) key_count += request.keys[0]->length();
      requests.push_back(std::move(request));
    }
    const auto read = [engine = engine_, requests = std::move(requests)] {
      return engine->ReadMany(requests);
    };
    if (key_count > kLongReadKeys) return RunAside<std::vector<ReadResult>>(read);
    return WithoutGil(read);
  }

  void ReadInto(const std::string& table, const nb::list& keys, std::vector<std::string> columns,
                nb::handle out, std::optional<double> fill) const {
    const MatrixMemory memory(out);
    Interrupt interrupt;
    MatrixRequest request;
    request.table = table;
    request.keys = ImportKeys(keys);
    request.columns = std::move(columns);
    request.out = memory.view();
    request.fill = fill;
    request.on_progress = [&interrupt](int64_t) { return interrupt.Check(); };
    const Status status = [&] {
      GilReleased released;
      return engine_->ReadMatrix(request).status();
    }();
    interrupt.RaiseIfFailed(status);
    RaiseIfError(status);
  }

  // In a child of a fork: the engine's threads are not here, so nothing of it may run again, not
  // even its end.
  void Abandon() {
    new std::shared_ptr<Engine>(std::move(engine_));
    new std::shared_ptr<sql::SqlDoor>(std::move(sql_));
  }

  RowStream Scan(const std::string& table, Columns columns, int64_t limit_rows) const {
    const ScanRequest request{table, std::move(columns), limit_rows};
    auto reader = WithoutGil([&] { return engine_->Scan(request); });
    return RowStream(std::make_shared<OwningReader>(engine_, std::move(reader)));
  }

  RowStream Sql(const std::string& query, const nb::list& parameters, int64_t timeout_ms,
                int64_t rows_max) {
    sql::SqlRequest request{.text = query, .timeout_ms = timeout_ms, .rows_max = rows_max};
    for (const nb::handle parameter : parameters) {
      const auto pair = nb::cast<nb::tuple>(parameter);
      request.parameters.emplace_back(nb::cast<std::string>(pair[0]), QueryValueOf(pair[1]));
    }
    if (sql_ == nullptr) {
      sql::SqlOptions options;
      options.timeout_ms_max = kSqlMs;
      sql_ = std::make_shared<sql::SqlDoor>(engine_.get(), options);
    }
    if (request.timeout_ms == 0) request.timeout_ms = kSqlDefaultMs;
    auto reader = WithoutGil([&] { return sql_->Query(request); });
    return RowStream(std::make_shared<OwningReader>(engine_, std::move(reader)));
  }

  void AddColumn(const std::string& table, const ColumnSchema& column) {
    WithoutGil([&] { return engine_->AddColumn(table, column); });
  }

  void WidenColumn(const std::string& table, const ColumnSchema& column) {
    WithoutGil([&] { return engine_->WidenColumn(table, column.name, column.type); });
  }

  void Compact(const std::string& table) {
    RunAside<bool>([engine = engine_, table]() -> Result<bool> {
      ARROW_RETURN_NOT_OK(engine->Compact(table));
      return true;
    });
  }

  void RollBack(const std::string& table) {
    WithoutGil([&] { return engine_->RollBack(table); });
  }

  void Flush(const std::string& table) {
    WithoutGil([&] { return engine_->Flush(table); });
  }

  SnapshotReport Snapshot(const std::string& dir, bool verify) const {
    Interrupt interrupt;
    SnapshotRequest request{dir, verify, {}};
    request.on_progress = [&interrupt](int64_t) {
      return interrupt.Check("the snapshot was interrupted; nothing of it is left", [] {});
    };
    const auto result = [&] {
      GilReleased released;
      return engine_->Snapshot(request);
    }();
    interrupt.RaiseIfFailed(result.status());
    return Unwrap(result);
  }

 private:
  std::shared_ptr<Engine> engine_;
  std::shared_ptr<sql::SqlDoor> sql_;  // made by the first query
  std::atomic<bool> is_closed_ = false;
};

nb::bytes FoundBits(const ReadResult& result) {
  return nb::bytes(result.found->data(), static_cast<size_t>(result.found->size()));
}

// Names of files and texts in damaged ones need not be UTF-8.
nb::str AnyText(const std::string& text) {
  return nb::steal<nb::str>(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "backslashreplace"));
}

void BindInspection(nb::module_& module) {
  const auto text = [](std::string InspectLine::* field) {
    return [field](const InspectLine& self) { return AnyText(self.*field); };
  };
  nb::class_<InspectLine>(module, "InspectLine", "One thing that stands in a file.")
      .def_ro("depth", &InspectLine::depth, "Lines of a part follow it, one deeper.")
      .def_prop_ro("name", text(&InspectLine::name), "Of a field, a part or a file.")
      .def_ro("offset_bytes", &InspectLine::offset_bytes, "Where it begins in the file.")
      .def_ro("size_bytes", &InspectLine::size_bytes, "How long it is.")
      .def_prop_ro("type", text(&InspectLine::type), "\"u64\", \"text\", \"SegmentFooter\".")
      .def_prop_ro("value", text(&InspectLine::value), "What stands there; may be empty.")
      .def_prop_ro("problem", text(&InspectLine::problem), "What is wrong; empty = nothing.");
}

// NumPy's dtype for a column of plain numbers.
std::optional<nb::dlpack::dtype> DtypeOf(arrow::Type::type id) {
  switch (id) {
    case arrow::Type::INT8:
      return nb::dtype<int8_t>();
    case arrow::Type::INT16:
      return nb::dtype<int16_t>();
    case arrow::Type::INT32:
      return nb::dtype<int32_t>();
    case arrow::Type::INT64:
      return nb::dtype<int64_t>();
    case arrow::Type::UINT8:
      return nb::dtype<uint8_t>();
    case arrow::Type::UINT16:
      return nb::dtype<uint16_t>();
    case arrow::Type::UINT32:
      return nb::dtype<uint32_t>();
    case arrow::Type::UINT64:
      return nb::dtype<uint64_t>();
    case arrow::Type::FLOAT:
      return nb::dtype<float>();
    case arrow::Type::DOUBLE:
      return nb::dtype<double>();
    default:
      return std::nullopt;
  }
}

// One owner for all of them: each array keeps the whole batch, as its columns are one allocation.
nb::dict PlainArrays(const ReadResult& self) {
  const arrow::RecordBatch& batch = *self.batch;
  nb::dict arrays;
  nb::capsule owner(new std::shared_ptr<arrow::RecordBatch>(self.batch), [](void* held) noexcept {
    delete static_cast<std::shared_ptr<arrow::RecordBatch>*>(held);
  });
  for (int i = 0; i < batch.num_columns(); ++i) {
    const arrow::ArrayData& column = *batch.column_data(i);
    const auto dtype = DtypeOf(column.type->id());
    if (!dtype.has_value() || column.GetNullCount() > 0) continue;
    const size_t length = static_cast<size_t>(column.length);
    const auto* values = column.buffers[1]->data() + column.offset * (dtype->bits / 8);
    arrays[batch.column_name(i).c_str()] =
        nb::ndarray<nb::numpy, nb::ro>(values, 1, &length, owner, nullptr, *dtype);
  }
  return arrays;
}

std::optional<std::string> OnlyDtype(const ReadResult& self) {
  const arrow::RecordBatch& batch = *self.batch;
  if (batch.num_columns() == 0) return std::nullopt;
  const arrow::Type::type id = batch.column(0)->type_id();
  const bool is_float = id == arrow::Type::FLOAT || id == arrow::Type::DOUBLE;
  if (!is_float && id != arrow::Type::INT32 && id != arrow::Type::INT64) return std::nullopt;
  for (const auto& column : batch.columns()) {
    if (column->type_id() != id) return std::nullopt;
    if (!is_float && column->null_count() > 0) return std::nullopt;  // floats, in pandas
  }
  const std::string kind = is_float ? "float" : "int";
  return kind + (id == arrow::Type::DOUBLE || id == arrow::Type::INT64 ? "64" : "32");
}

void BindAnswers(nb::module_& module) {
  nb::class_<ReadResult>(module, "Answer", "Rows of a read, in the order of the keys.")
      .def_prop_ro("row_count", [](const ReadResult& self) { return self.batch->num_rows(); })
      .def_prop_ro("column_count", [](const ReadResult& self) { return self.batch->num_columns(); })
      .def_prop_ro("column_names",
                   [](const ReadResult& self) { return self.batch->schema()->field_names(); })
      .def_prop_ro("only_dtype", &OnlyDtype,
                   "Name of the dtype that every column has in pandas, if it is one of a matrix.")
      .def("plain_arrays", &PlainArrays,
           "Columns of numbers without nulls as NumPy arrays over the same memory, by name.")
      .def_ro("found_count", &ReadResult::found_count)
      .def_prop_ro("found_bits", &FoundBits, "Bit i = key i was found; lowest bit first.")
      .def_ro("version", &ReadResult::version)
      .def(
          "write_matrix",
          [](const ReadResult& self, nb::handle out, std::optional<double> fill) {
            WriteMatrix(*self.batch, out, fill);
          },
          nb::arg("out"), nb::arg("fill") = nb::none(),
          "Columns as a matrix of [rows, columns] into `out`, a writable array or tensor.")
      .def(
          "__arrow_c_array__",
          [](const ReadResult& self, const nb::object&) { return ExportBatch(*self.batch); },
          nb::arg("requested_schema") = nb::none());
  module.def(
      "write_matrix",
      [](nb::handle batch, nb::handle out, std::optional<double> fill) {
        WriteMatrix(*ImportBatch(batch), out, fill);
      },
      nb::arg("batch"), nb::arg("out"), nb::arg("fill") = nb::none(),
      "The same for a batch of the Arrow interface.");
  nb::class_<VerifyReport>(module, "VerifyReport", "What a check of every byte has found.")
      .def_ro("file_count", &VerifyReport::file_count, "Files read.")
      .def_ro("checked_bytes", &VerifyReport::checked_bytes, "Bytes held against their checksums.")
      .def_ro("damage", &VerifyReport::damage,
              "One line for each damaged place: file, offset, what is wrong.")
      .def_ro("orphans", &VerifyReport::orphans,
              "Files that belong to no table: harmless, gone when a writer opens the folder.");
  nb::class_<SnapshotReport>(module, "SnapshotReport", "What a snapshot is made of.")
      .def_ro("table_count", &SnapshotReport::table_count, "Tables copied.")
      .def_ro("linked_bytes", &SnapshotReport::linked_bytes,
              "In files that are shared with the original.")
      .def_ro("copied_bytes", &SnapshotReport::copied_bytes, "In files of its own.")
      .def_ro("left_out", &SnapshotReport::left_out, "Damaged tables, by name.");
}

}  // namespace

void BindEngine(nb::module_& module) {
  BindAnswers(module);
  BindRowStream(module);
  BindInspection(module);
  nb::class_<MemoryUsage>(module, "MemoryUsage",
                          "How segments are kept under a memory budget, in bytes of their files.")
      .def_ro("budget_bytes", &MemoryUsage::budget_bytes, "0: there is none; all else is 0 then.")
      .def_ro("index_bytes", &MemoryUsage::index_bytes,
              "Key indexes, and all else that is no row: in memory.")
      .def_ro("mapped_row_bytes", &MemoryUsage::mapped_row_bytes,
              "Rows of segments that are kept in memory whole.")
      .def_ro("cold_row_bytes", &MemoryUsage::cold_row_bytes,
              "Rows of segments that are read from the disk.")
      .def_ro("row_cache_bytes", &MemoryUsage::row_cache_bytes,
              "Memory for such rows of these as are used.");
  nb::class_<PythonEngine>(module, "Engine", "Tables in one folder.")
      .def(nb::init<const std::string&, const std::string&, int64_t>(), nb::arg("path"),
           nb::arg("mode"), nb::arg("memory_budget_bytes") = 0)
      .def("close", &PythonEngine::Close)
      .def("create_table", &PythonEngine::CreateTable, nb::arg("name"), nb::arg("columns"),
           nb::arg("key"), nb::arg("event_time"), nb::arg("ttl_ms"))
      .def("drop_table", &PythonEngine::DropTable, nb::arg("name"))
      .def("get_table", &PythonEngine::GetTable, nb::arg("name"))
      .def("list_tables", &PythonEngine::ListTables)
      .def("memory_usage", &PythonEngine::GetMemoryUsage)
      .def("write", &PythonEngine::Write, nb::arg("table"), nb::arg("source"), nb::arg("patch"),
           nb::arg("progress") = nb::none(),
           "progress: called now and then with the rows taken so far. -> (rows given, commit "
           "number)")
      .def("delete", &PythonEngine::Delete, nb::arg("table"), nb::arg("keys"),
           nb::arg("event_time_us") = nb::none())
      .def("read", &PythonEngine::Read, nb::arg("table"), nb::arg("keys"),
           nb::arg("columns") = nb::none(), nb::arg("hits_only") = false)
      .def("read_many", &PythonEngine::ReadMany, nb::arg("reads"),
           "reads: of (table, keys, columns, hits_only).")
      .def("read_into", &PythonEngine::ReadInto, nb::arg("table"), nb::arg("keys"),
           nb::arg("columns"), nb::arg("out"), nb::arg("fill") = nb::none(),
           "Into `out`, a writable array or tensor of shape [keys, columns].")
      .def("abandon", &PythonEngine::Abandon, "After a fork, in the child: forget this engine.")
      .def("scan", &PythonEngine::Scan, nb::arg("table"), nb::arg("columns") = nb::none(),
           nb::arg("limit_rows") = -1)
      .def("sql", &PythonEngine::Sql, nb::arg("query"), nb::arg("parameters"),
           nb::arg("timeout_ms"), nb::arg("rows_max"),
           "parameters: of (name, value); 0: the default time, any number of rows.")
      .def("add_column", &PythonEngine::AddColumn, nb::arg("table"), nb::arg("column"))
      .def("widen_column", &PythonEngine::WidenColumn, nb::arg("table"), nb::arg("column"))
      .def("compact", &PythonEngine::Compact, nb::arg("table"))
      .def("roll_back", &PythonEngine::RollBack, nb::arg("table"))
      .def("flush", &PythonEngine::Flush, nb::arg("table"))
      .def("snapshot", &PythonEngine::Snapshot, nb::arg("dir"), nb::arg("verify"))
      .def_static(
          "inspect",
          [](const std::string& path, bool show_all) {
            return WithoutGil([&] { return Engine::Inspect(path, show_all); }).lines;
          },
          nb::arg("path"), nb::arg("show_all"))
      .def_static(
          "verify",
          [](const std::string& path) { return WithoutGil([&] { return Engine::Verify(path); }); },
          nb::arg("path"));
}

}  // namespace fletching::python
