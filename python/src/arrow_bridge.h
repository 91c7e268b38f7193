// Arrow data in and out of Python through the Arrow C interface, as PyCapsules. No header of
// pyarrow and no copy of values: any library that speaks the interface will do.
//
// The interface carries no sizes of buffers, so lengths and offsets that reach past them cannot be
// seen on this side: python/fletching/_frames.py and _keys.py check them before they hand over.
//
// Errors: Python exceptions (TypeError for objects without the method; what the method raises; the
// Status of the import).  Threads: the caller holds the GIL.
#pragma once

#include <memory>

#include "arrow/type_fwd.h"
#include <nanobind/nanobind.h>

#include "fletching/engine.h"

namespace fletching::python {

// __arrow_c_schema__
std::shared_ptr<arrow::DataType> ImportType(nanobind::handle object);
// __arrow_c_array__
std::shared_ptr<arrow::Array> ImportArray(nanobind::handle object);
std::shared_ptr<arrow::RecordBatch> ImportBatch(nanobind::handle object);
// __arrow_c_stream__. Reading it later may call back into Python, which takes the GIL by itself.
std::shared_ptr<arrow::RecordBatchReader> ImportStream(nanobind::handle object);

nanobind::object ExportSchema(const arrow::Schema& schema);     // capsule "arrow_schema"
nanobind::object ExportArray(const arrow::Array& array);        // (schema, array) capsules
nanobind::object ExportBatch(const arrow::RecordBatch& batch);  // (schema, array) capsules
nanobind::object ExportStream(std::shared_ptr<arrow::RecordBatchReader> reader);

}  // namespace fletching::python
