#include "python/src/arrow_bridge.h"

#include <string>
#include <utility>

#include <arrow/array.h>
#include <arrow/c/bridge.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "python/src/errors.h"

namespace fletching::python {

namespace nb = nanobind;

namespace {

constexpr char kSchemaName[] = "arrow_schema";
constexpr char kArrayName[] = "arrow_array";
constexpr char kStreamName[] = "arrow_array_stream";

// Calls the method of the C interface that `object` must have.
nb::object CallInterface(nb::handle object, const char* method) {
  if (!nb::hasattr(object, method)) {
    const std::string text = std::string(nb::type_name(object.type()).c_str()) + " has no " +
                             method + ", so it cannot hand over Arrow data";
    throw nb::type_error(text.c_str());
  }
  return object.attr(method)();
}

// What a capsule points to; taking it over is the callee's business, freeing it the capsule's.
template <typename Struct>
Struct* Inside(nb::handle capsule, const char* name) {
  void* pointer = PyCapsule_GetPointer(capsule.ptr(), name);
  if (pointer == nullptr) throw nb::python_error();
  return static_cast<Struct*>(pointer);
}

template <typename Struct, const char* kName>
void FreeCapsule(PyObject* capsule) {
  auto* inside = static_cast<Struct*>(PyCapsule_GetPointer(capsule, kName));
  if (inside->release != nullptr) inside->release(inside);  // nobody took it over
  delete inside;
}

template <typename Struct, const char* kName>
nb::object MakeCapsule(std::unique_ptr<Struct> inside) {
  PyObject* capsule = PyCapsule_New(inside.get(), kName, FreeCapsule<Struct, kName>);
  if (capsule == nullptr) {
    inside->release(inside.get());
    throw nb::python_error();
  }
  inside.release();
  return nb::steal(capsule);
}

}  // namespace

std::shared_ptr<arrow::DataType> ImportType(nb::handle object) {
  const nb::object capsule = CallInterface(object, "__arrow_c_schema__");
  return Unwrap(arrow::ImportType(Inside<ArrowSchema>(capsule, kSchemaName)));
}

std::shared_ptr<arrow::Array> ImportArray(nb::handle object) {
  const nb::tuple pair = nb::cast<nb::tuple>(CallInterface(object, "__arrow_c_array__"));
  return Unwrap(arrow::ImportArray(Inside<ArrowArray>(pair[1], kArrayName),
                                   Inside<ArrowSchema>(pair[0], kSchemaName)));
}

std::shared_ptr<arrow::RecordBatch> ImportBatch(nb::handle object) {
  const nb::tuple pair = nb::cast<nb::tuple>(CallInterface(object, "__arrow_c_array__"));
  return Unwrap(arrow::ImportRecordBatch(Inside<ArrowArray>(pair[1], kArrayName),
                                         Inside<ArrowSchema>(pair[0], kSchemaName)));
}

std::shared_ptr<arrow::RecordBatchReader> ImportStream(nb::handle object) {
  const nb::object capsule = CallInterface(object, "__arrow_c_stream__");
  return Unwrap(arrow::ImportRecordBatchReader(Inside<ArrowArrayStream>(capsule, kStreamName)));
}

nb::object ExportSchema(const arrow::Schema& schema) {
  auto out = std::make_unique<ArrowSchema>();
  RaiseIfError(arrow::ExportSchema(schema, out.get()));
  return MakeCapsule<ArrowSchema, kSchemaName>(std::move(out));
}

nb::object ExportArray(const arrow::Array& array) {
  auto out = std::make_unique<ArrowArray>();
  auto schema = std::make_unique<ArrowSchema>();
  RaiseIfError(arrow::ExportArray(array, out.get(), schema.get()));
  nb::object array_capsule = MakeCapsule<ArrowArray, kArrayName>(std::move(out));
  return nb::make_tuple(MakeCapsule<ArrowSchema, kSchemaName>(std::move(schema)), array_capsule);
}

nb::object ExportBatch(const arrow::RecordBatch& batch) {
  auto array = std::make_unique<ArrowArray>();
  auto schema = std::make_unique<ArrowSchema>();
  RaiseIfError(arrow::ExportRecordBatch(batch, array.get(), schema.get()));
  nb::object array_capsule = MakeCapsule<ArrowArray, kArrayName>(std::move(array));
  return nb::make_tuple(MakeCapsule<ArrowSchema, kSchemaName>(std::move(schema)), array_capsule);
}

nb::object ExportStream(std::shared_ptr<arrow::RecordBatchReader> reader) {
  auto out = std::make_unique<ArrowArrayStream>();
  RaiseIfError(arrow::ExportRecordBatchReader(std::move(reader), out.get()));
  return MakeCapsule<ArrowArrayStream, kStreamName>(std::move(out));
}

}  // namespace fletching::python
