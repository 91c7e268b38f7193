// Engine, its answers and its row streams. The GIL is let go around every call into the engine.
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
#include "python/src/errors.h"
#include "python/src/matrix.h"

namespace nb = nanobind;

namespace fletching::python {
namespace {

using Columns = std::optional<std::vector<std::string>>;
using RowsAndVersion = std::pair<int64_t, uint64_t>;

// Runs `call` without the GIL, then raises its error or returns its value.
template <typename Call>
auto WithoutGil(const Call& call) {
  auto result = [&] {
    nb::gil_scoped_release released;
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
  nb::gil_scoped_release released;
  delete engine;
}

KeyArrays ImportKeys(const nb::list& keys) {
  KeyArrays arrays;
  for (const nb::handle column : keys) arrays.push_back(ImportArray(column));
  return arrays;
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

struct RowStream {
  std::shared_ptr<arrow::RecordBatchReader> reader;

  nb::object Export(const nb::object&) {
    if (reader == nullptr) Raise(InvalidArgument("these rows were read already; scan again"));
    return ExportStream(std::exchange(reader, nullptr));
  }
};

class PythonEngine {
 public:
  PythonEngine(const std::string& path, const std::string& mode) {
    EngineOptions options;
    options.data_dir = path;
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
  std::vector<TableInfo> ListTables() const { return engine_->ListTables(); }

  RowsAndVersion Write(const std::string& table, nb::handle source, bool patch,
                       const std::optional<nb::callable>& progress) {
    const auto reader = ImportStream(source);
    std::optional<nb::python_error> interrupt;
    WriteRequest request;
    request.table = table;
    request.mode = patch ? WriteMode::kPatch : WriteMode::kReplace;
    request.on_progress = [&interrupt, &progress](int64_t row_count) {
      nb::gil_scoped_acquire acquired;
      try {
        if (PyErr_CheckSignals() != 0) throw nb::python_error();  // Ctrl-C
        if (progress.has_value()) (*progress)(row_count);
        return Status::OK();
      } catch (nb::python_error& error) {
        interrupt.emplace(std::move(error));
        return Cancelled("the write was interrupted; nothing was written");
      }
    };
    const auto result = [&] {
      nb::gil_scoped_release released;
      return engine_->Write(request, reader.get());
    }();
    if (interrupt.has_value() && !result.ok()) {
      interrupt->restore();
      throw nb::python_error();
    }
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
    return WithoutGil([&] { return engine_->Read(request); });
  }

  RowStream Scan(const std::string& table, Columns columns, int64_t limit_rows) const {
    const ScanRequest request{table, std::move(columns), limit_rows};
    auto reader = WithoutGil([&] { return engine_->Scan(request); });
    return {std::make_shared<OwningReader>(engine_, std::move(reader))};
  }

  void AddColumn(const std::string& table, const ColumnSchema& column) {
    WithoutGil([&] { return engine_->AddColumn(table, column); });
  }

  void WidenColumn(const std::string& table, const ColumnSchema& column) {
    WithoutGil([&] { return engine_->WidenColumn(table, column.name, column.type); });
  }

  void Compact(const std::string& table) {
    WithoutGil([&] { return engine_->Compact(table); });
  }

  void Flush(const std::string& table) {
    WithoutGil([&] { return engine_->Flush(table); });
  }

 private:
  std::shared_ptr<Engine> engine_;
};

nb::bytes FoundBits(const ReadResult& result) {
  return nb::bytes(result.found->data(), static_cast<size_t>(result.found->size()));
}

using AnyMatrix = nb::ndarray<nb::device::cpu, nb::ndim<2>>;

MatrixView ViewOf(const AnyMatrix& out, const arrow::RecordBatch& batch) {
  const auto rows = static_cast<size_t>(batch.num_rows());
  const auto columns = static_cast<size_t>(batch.num_columns());
  if (out.shape(0) != rows || out.shape(1) != columns) {
    Raise(InvalidArgument("out has shape (" + std::to_string(out.shape(0)) + ", " +
                          std::to_string(out.shape(1)) + "), the answer (" + std::to_string(rows) +
                          ", " + std::to_string(columns) + ")"));
  }
  if (rows > 0 && columns > 1 && out.stride(1) != 1) {
    Raise(InvalidArgument("values of a row of out are not adjacent; give a row-major array"));
  }
  MatrixView view{out.data(), MatrixType::kFloat32, out.stride(0)};
  if (out.dtype() == nb::dtype<float>()) return view;
  view.type = MatrixType::kFloat64;
  if (out.dtype() == nb::dtype<double>()) return view;
  view.type = MatrixType::kInt32;
  if (out.dtype() == nb::dtype<int32_t>()) return view;
  view.type = MatrixType::kInt64;
  if (out.dtype() == nb::dtype<int64_t>()) return view;
  Raise(InvalidArgument("out is of another dtype than float32, float64, int32 or int64"));
}

void WriteMatrix(const ReadResult& self, const AnyMatrix& out, std::optional<double> fill) {
  const MatrixView view = ViewOf(out, *self.batch);
  const Status status = [&] {
    nb::gil_scoped_release released;
    return FillMatrix(*self.batch, fill, view);
  }();
  RaiseIfError(status);
}

void BindAnswers(nb::module_& module) {
  nb::class_<ReadResult>(module, "Answer", "Rows of a read, in the order of the keys.")
      .def_prop_ro("row_count", [](const ReadResult& self) { return self.batch->num_rows(); })
      .def_prop_ro("column_count", [](const ReadResult& self) { return self.batch->num_columns(); })
      .def_ro("found_count", &ReadResult::found_count)
      .def_prop_ro("found_bits", &FoundBits, "Bit i = key i was found; lowest bit first.")
      .def_ro("version", &ReadResult::version)
      .def("write_matrix", &WriteMatrix, nb::arg("out").noconvert(), nb::arg("fill") = nb::none(),
           "Columns as a matrix of [rows, columns] into `out`, writable and row-major.")
      .def(
          "__arrow_c_array__",
          [](const ReadResult& self, const nb::object&) { return ExportBatch(*self.batch); },
          nb::arg("requested_schema") = nb::none());
  nb::class_<RowStream>(module, "RowStream", "Rows of a scan, to be taken once.")
      .def("__arrow_c_stream__", &RowStream::Export, nb::arg("requested_schema") = nb::none());
  nb::class_<VerifyReport>(module, "VerifyReport", "What a check of every byte has found.")
      .def_ro("file_count", &VerifyReport::file_count, "Files read.")
      .def_ro("checked_bytes", &VerifyReport::checked_bytes, "Bytes held against their checksums.")
      .def_ro("damage", &VerifyReport::damage,
              "One line for each damaged place: file, offset, what is wrong.")
      .def_ro("orphans", &VerifyReport::orphans,
              "Files that belong to no table: harmless, gone when a writer opens the folder.");
}

}  // namespace

void BindEngine(nb::module_& module) {
  BindAnswers(module);
  nb::class_<PythonEngine>(module, "Engine", "Tables in one folder.")
      .def(nb::init<const std::string&, const std::string&>(), nb::arg("path"), nb::arg("mode"))
      .def("close", &PythonEngine::Close)
      .def("create_table", &PythonEngine::CreateTable, nb::arg("name"), nb::arg("columns"),
           nb::arg("key"), nb::arg("event_time"), nb::arg("ttl_ms"))
      .def("drop_table", &PythonEngine::DropTable, nb::arg("name"))
      .def("get_table", &PythonEngine::GetTable, nb::arg("name"))
      .def("list_tables", &PythonEngine::ListTables)
      .def("write", &PythonEngine::Write, nb::arg("table"), nb::arg("source"), nb::arg("patch"),
           nb::arg("progress") = nb::none(),
           "progress: called now and then with the rows taken so far. -> (rows given, commit "
           "number)")
      .def("delete", &PythonEngine::Delete, nb::arg("table"), nb::arg("keys"),
           nb::arg("event_time_us") = nb::none())
      .def("read", &PythonEngine::Read, nb::arg("table"), nb::arg("keys"),
           nb::arg("columns") = nb::none(), nb::arg("hits_only") = false)
      .def("scan", &PythonEngine::Scan, nb::arg("table"), nb::arg("columns") = nb::none(),
           nb::arg("limit_rows") = -1)
      .def("add_column", &PythonEngine::AddColumn, nb::arg("table"), nb::arg("column"))
      .def("widen_column", &PythonEngine::WidenColumn, nb::arg("table"), nb::arg("column"))
      .def("compact", &PythonEngine::Compact, nb::arg("table"))
      .def("flush", &PythonEngine::Flush, nb::arg("table"))
      .def_static(
          "verify",
          [](const std::string& path) { return WithoutGil([&] { return Engine::Verify(path); }); },
          nb::arg("path"));
}

}  // namespace fletching::python
