#include "python/src/keys.h"

#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <nanobind/stl/optional.h>

#include "base/bytes.h"
#include "python/src/arrow_bridge.h"
#include "python/src/errors.h"

namespace nb = nanobind;

namespace fletching::python {
namespace {

constexpr int64_t kLikelyBytes = 24;  // of a key
constexpr int64_t kTextBytesMax = std::numeric_limits<int32_t>::max();
// Texts lie anywhere in memory: those of this many keys ahead are fetched meanwhile.
constexpr Py_ssize_t kAhead = 24;

inline void Fetch(const PyObject* text) {
  const char* const begin = reinterpret_cast<const char*>(text);
  __builtin_prefetch(begin, 0, 3);
  __builtin_prefetch(begin + sizeof(PyASCIIObject), 0, 3);  // its characters
}

// memcpy, without a call for the length of a common key.
inline void CopyText(uint8_t* target, const char* source, int64_t size) {
  if (size < 8 || size > 16) {
    std::memcpy(target, source, static_cast<size_t>(size));
    return;
  }
  const auto first = LoadAs<uint64_t>(source);
  StoreAs(target + size - 8, LoadAs<uint64_t>(source + size - 8));
  StoreAs(target, first);
}

// The characters of an exact str; null when it has no UTF-8.
const char* TextOf(PyObject* value, Py_ssize_t* size) {
  if (PyUnicode_IS_COMPACT_ASCII(value)) {
    *size = PyUnicode_GET_LENGTH(value);
    return static_cast<const char*>(PyUnicode_DATA(value));
  }
  const char* const bytes = PyUnicode_AsUTF8AndSize(value, size);
  if (bytes == nullptr) PyErr_Clear();  // a lone surrogate; who reports it says more
  return bytes;
}

}  // namespace

std::optional<KeyArray> TextArray(const nb::list& values) {
  const Py_ssize_t count = PyList_GET_SIZE(values.ptr());
  if (count == 0) return std::nullopt;  // of no type yet
  auto ends = Unwrap(arrow::AllocateBuffer((count + 1) * 4));
  auto text = Unwrap(arrow::AllocateResizableBuffer(count * kLikelyBytes));
  auto* const end_at = reinterpret_cast<int32_t*>(ends->mutable_data());
  uint8_t* target = text->mutable_data();
  int64_t at = 0;
  end_at[0] = 0;
  for (Py_ssize_t i = 0; i < count; ++i) {
    if (i + kAhead < count) Fetch(PyList_GET_ITEM(values.ptr(), i + kAhead));
    PyObject* value = PyList_GET_ITEM(values.ptr(), i);
    if (!PyUnicode_CheckExact(value)) return std::nullopt;
    Py_ssize_t size = 0;
    const char* const bytes = TextOf(value, &size);
    if (bytes == nullptr || size > kTextBytesMax - at) return std::nullopt;
    if (at + size > text->size()) {
      RaiseIfError(text->Resize(2 * (at + size), false));
      target = text->mutable_data();
    }
    CopyText(target + at, bytes, size);
    at += size;
    end_at[i + 1] = static_cast<int32_t>(at);
  }
  RaiseIfError(text->Resize(at, false));
  return KeyArray{std::make_shared<arrow::StringArray>(
      static_cast<int64_t>(count), std::shared_ptr<arrow::Buffer>(std::move(ends)),
      std::shared_ptr<arrow::Buffer>(std::move(text)))};
}

KeyArrays ImportKeys(const nb::list& keys) {
  KeyArrays arrays;
  for (const nb::handle column : keys) {
    const bool is_ours = nb::isinstance<KeyArray>(column);
    arrays.push_back(is_ours ? nb::cast<const KeyArray&>(column).array : ImportArray(column));
  }
  return arrays;
}

void BindKeys(nb::module_& module) {
  nb::class_<KeyArray>(module, "KeyArray", "Keys of one column.")
      .def("__len__", [](const KeyArray& self) { return self.array->length(); })
      .def(
          "__arrow_c_array__",
          [](const KeyArray& self, const nb::object&) { return ExportArray(*self.array); },
          nb::arg("requested_schema") = nb::none());
  module.def("text_array", &TextArray, nb::arg("values"),
             "A list of str as one utf8 array; None if it holds anything else.");
}

}  // namespace fletching::python
