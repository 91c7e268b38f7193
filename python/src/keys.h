// Keys on their way from Python.
#pragma once

#include <memory>
#include <optional>

#include "arrow/type_fwd.h"
#include <nanobind/nanobind.h>

#include "fletching/request.h"

namespace fletching::python {

// An array that was made here. Speaks the Arrow C interface.
struct KeyArray {
  std::shared_ptr<arrow::Array> array;
};

// A list of str as one utf8 array, in a fourth of the time that it takes by way of PyArrow. None
// when the list holds anything else, or more than one array can.
std::optional<KeyArray> TextArray(const nanobind::list& values);

// A list with an array per key column, each a KeyArray or anything of the Arrow C interface.
KeyArrays ImportKeys(const nanobind::list& keys);

void BindKeys(nanobind::module_& module);

}  // namespace fletching::python
