#include "python/src/row_stream.h"

#include <utility>

#include <arrow/record_batch.h>
#include <nanobind/stl/optional.h>

#include "python/src/errors.h"
#include "python/src/gil.h"

namespace nb = nanobind;

namespace fletching::python {

RowStream::RowStream(std::shared_ptr<arrow::RecordBatchReader> reader,
                     std::function<void()> raise_interrupt)
    : reader_(std::move(reader)), raise_interrupt_(std::move(raise_interrupt)) {}

RowStream::~RowStream() = default;

nb::object RowStream::Schema() const { return ExportSchema(*reader_->schema()); }

std::optional<RowBatch> RowStream::Next() {
  auto batch = [&] {
    GilReleased released;
    return reader_->Next();
  }();
  if (raise_interrupt_ && !batch.ok()) raise_interrupt_();
  RowBatch next{Unwrap(std::move(batch))};
  if (next.batch == nullptr) return std::nullopt;
  return next;
}

void BindRowStream(nb::module_& module) {
  nb::class_<RowBatch>(module, "RowBatch", "One batch of a scan.")
      .def(
          "__arrow_c_array__",
          [](const RowBatch& self, const nb::object&) { return ExportBatch(*self.batch); },
          nb::arg("requested_schema") = nb::none());
  nb::class_<RowStream>(module, "RowStream", "Rows of a scan, to be taken once.")
      .def("__arrow_c_schema__", &RowStream::Schema)
      .def("next_batch", &RowStream::Next);
}

}  // namespace fletching::python
