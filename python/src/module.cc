// fletching._native: the engine for Python. The package around it (python/fletching/) turns what
// users have into what this takes: text, numbers, and objects of the Arrow C interface.
#include <string>

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "fletching/status.h"

#include "api/error_map.h"
#include "python/src/gil.h"

namespace nb = nanobind;

namespace fletching::python {
void BindTable(nb::module_& module);   // table_binding.cc
void BindEngine(nb::module_& module);  // engine_binding.cc
void BindKeys(nb::module_& module);    // keys.cc
void BindRemote(nb::module_& module);  // remote_binding.cc
}  // namespace fletching::python

NB_MODULE(_native, module) {
  // An engine that a traceback keeps until the very end is no leak worth a user's attention.
  nb::set_leak_warnings(false);
  module.doc() = "The engine, for fletching's own use; import fletching instead.";
  fletching::python::BindGil(module);
  fletching::python::BindTable(module);
  fletching::python::BindEngine(module);
  fletching::python::BindKeys(module);
  fletching::python::BindRemote(module);
  module.def(
      "error_table",
      [] {
        nb::list rows;
        for (const auto& answer : fletching::api::ErrorAnswers()) {
          rows.append(nb::make_tuple(std::string(fletching::CodeName(answer.code)),
                                     answer.http_status, std::string(answer.python)));
        }
        return rows;
      },
      "(code, HTTP status, name of the Python exception) of every error, for tests.");
}
