#include "python/src/errors.h"

#include <string>

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

namespace fletching::python {

namespace nb = nanobind;

void Raise(const Status& status) {
  const std::string code(CodeName(CodeOf(status)));
  const nb::object error =
      nb::module_::import_("fletching._errors").attr("make_error")(code, status.message());
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.ptr())), error.ptr());
  throw nb::python_error();
}

}  // namespace fletching::python
