#include "python/src/keys.h"

#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <nanobind/stl/optional.h>

#include "python/src/arrow_bridge.h"

namespace nb = nanobind;

namespace fletching::python {
namespace {

constexpr size_t kLikelyBytes = 24;  // of a key
constexpr size_t kTextBytesMax = std::numeric_limits<int32_t>::max();

}  // namespace

std::optional<KeyArray> TextArray(const nb::list& values) {
  const auto count = static_cast<size_t>(PyList_GET_SIZE(values.ptr()));
  if (count == 0) return std::nullopt;  // of no type yet
  std::vector<int32_t> ends(count + 1);
  std::string text(count * kLikelyBytes, '\0');
  size_t at = 0;
  for (size_t i = 0; i < count; ++i) {
    PyObject* value = PyList_GET_ITEM(values.ptr(), static_cast<Py_ssize_t>(i));
    if (!PyUnicode_CheckExact(value)) return std::nullopt;
    Py_ssize_t size = 0;
    const char* bytes = nullptr;
    if (PyUnicode_IS_COMPACT_ASCII(value)) {
      size = PyUnicode_GET_LENGTH(value);
      bytes = static_cast<const char*>(PyUnicode_DATA(value));
    } else {
      bytes = PyUnicode_AsUTF8AndSize(value, &size);
    }
    if (bytes == nullptr) {  // a lone surrogate; who reports it says more
      PyErr_Clear();
      return std::nullopt;
    }
    const size_t end = at + static_cast<size_t>(size);
    if (end > kTextBytesMax) return std::nullopt;
    if (end > text.size()) text.resize(2 * end);
    std::memcpy(text.data() + at, bytes, static_cast<size_t>(size));
    at = end;
    ends[i + 1] = static_cast<int32_t>(end);
  }
  text.resize(at);
  return KeyArray{std::make_shared<arrow::StringArray>(static_cast<int64_t>(count),
                                                       arrow::Buffer::FromVector(std::move(ends)),
                                                       arrow::Buffer::FromString(std::move(text)))};
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
