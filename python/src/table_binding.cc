// What a table looks like, both ways: TableInfo to Python, columns of a new table from Python.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <arrow/type.h>
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "fletching/request.h"
#include "fletching/schema.h"

#include "python/src/arrow_bridge.h"
#include "python/src/errors.h"

namespace nb = nanobind;

namespace fletching::python {
namespace {

nb::object ExportTableSchema(const TableInfo& info) {
  std::vector<std::shared_ptr<arrow::Field>> fields;
  for (const ColumnSchema& column : info.schema.columns) {
    const bool nullable = column.nullable && !info.schema.IsKey(column.name);
    fields.push_back(arrow::field(column.name, column.type, nullable));
  }
  return ExportSchema(*arrow::schema(std::move(fields)));
}

std::string ColumnText(const ColumnSchema& column) {
  return "Column(" + column.name + ": " + TypeName(*column.type) +
         (column.nullable ? ")" : ", not null)");
}

std::string TableText(const TableInfo& info) {
  std::string text = "TableInfo(" + info.name;
  if (!info.health.ok()) return text + ": damaged: " + info.health.message() + ")";
  text += ": " + std::to_string(info.row_count) + " rows, " +
          std::to_string(info.schema.columns.size()) + " columns, key ";
  for (const std::string& name : info.schema.key) {
    text += (&name == info.schema.key.data() ? "" : ", ") + name;
  }
  return text + ")";
}

std::optional<std::pair<std::string, std::string>> Damage(const TableInfo& info) {
  if (info.health.ok()) return std::nullopt;
  return std::pair(std::string(CodeName(CodeOf(info.health))), info.health.message());
}

}  // namespace

void BindTable(nb::module_& module) {
  nb::class_<ColumnSchema>(module, "Column",
                           "One column of a table. dtype: text (\"utf8\", \"float32\", "
                           "\"list<float32>\") or a pyarrow type.")
      .def(
          "__init__",
          [](ColumnSchema* self, std::string name, nb::object dtype, bool nullable, bool strict) {
            // Text is parsed here, so that every door knows the same names.
            auto type = nb::isinstance<nb::str>(dtype)
                            ? Unwrap(ParseTypeName(nb::cast<std::string_view>(dtype)))
                            : ImportType(dtype);
            new (self) ColumnSchema{std::move(name), std::move(type), nullable, strict};
          },
          nb::arg("name"), nb::arg("dtype"), nb::arg("nullable") = true, nb::arg("strict") = true)
      .def_ro("name", &ColumnSchema::name, "Unique in its table.")
      .def_prop_ro(
          "dtype", [](const ColumnSchema& self) { return TypeName(*self.type); },
          "The type as text, as create_table takes it.")
      .def_ro("nullable", &ColumnSchema::nullable, "Whether values may be null; keys never are.")
      .def_ro("strict", &ColumnSchema::strict,
              "False lets float64 be written to a float32 column, rounded.")
      .def("__repr__", &ColumnText);

  nb::class_<GenerationInfo>(module, "Generation", "What a table was loaded from as a whole.")
      .def_ro("name", &GenerationInfo::name,
              "Partition and fingerprint; empty: rows that were written, after a rollback.")
      .def_ro("loaded_time_us", &GenerationInfo::loaded_time_us,
              "When, in microseconds since the epoch, UTC.")
      .def_prop_ro(
          "previous",
          [](const GenerationInfo& self) {
            return self.has_previous ? std::optional(self.previous) : std::nullopt;
          },
          "Name of what a rollback would bring; None if nothing is kept.")
      .def_ro("rejected", &GenerationInfo::rejected,
              "The one that was rolled back last; empty = none.");

  nb::class_<TableInfo>(module, "TableInfo", "What a table is and how large.")
      .def_ro("name", &TableInfo::name, "Unique in its folder.")
      .def_ro("row_count", &TableInfo::row_count,
              "Rows kept: an upper bound while replaced and deleted ones wait for compaction.")
      .def_ro("disk_bytes", &TableInfo::disk_bytes, "Size of its files, in bytes.")
      .def_ro("segment_count", &TableInfo::segment_count,
              "Files that a read may have to look into.")
      .def_ro("version", &TableInfo::version, "Number of the newest commit.")
      .def_ro("generation", &TableInfo::generation,
              "Of a table that is loaded as a whole, and takes no writes; else None.")
      .def_prop_ro(
          "columns", [](const TableInfo& self) { return self.schema.columns; },
          "Every column, in the order of the schema.")
      .def_prop_ro(
          "key", [](const TableInfo& self) { return self.schema.key; },
          "Names of the columns that identify a row.")
      .def_prop_ro(
          "value_names", [](const TableInfo& self) { return self.schema.ValueColumnNames(); },
          "Names of all other columns, in the order of the schema: what a read gives by itself.")
      .def_prop_ro(
          "event_time", [](const TableInfo& self) { return self.schema.event_time; },
          "The column whose newest value of a key wins; empty if the last write does.")
      .def_prop_ro(
          "ttl_ms", [](const TableInfo& self) { return self.schema.ttl_ms; },
          "Milliseconds after which a row reads as missing; 0 = never.")
      .def_prop_ro("damage", &Damage, "(code, message) where its files are damaged, else None.")
      .def("__arrow_c_schema__", &ExportTableSchema)
      .def("__repr__", &TableText);
}

}  // namespace fletching::python
