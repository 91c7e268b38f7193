// Matrices of the caller: NumPy arrays, and tensors that lend their memory by DLPack.
#pragma once

#include <optional>

#include "arrow/type_fwd.h"
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include "fletching/request.h"

namespace fletching::python {

// Borrows the memory of `out` for the life of this object. Threads: the caller holds the GIL here
// and at the end.
class MatrixMemory {
 public:
  // Raises InvalidArgumentError that says what is wrong with `out`: dtype, dimensions, read-only,
  // or memory that is not the CPU's.
  explicit MatrixMemory(nanobind::handle out);
  const MatrixView& view() const { return view_; }

 private:
  nanobind::ndarray<nanobind::device::cpu> memory_;
  MatrixView view_;
};

// The batch's columns into `out`; see base/matrix.h. Raises what goes wrong.
void WriteMatrix(const arrow::RecordBatch& batch, nanobind::handle out, std::optional<double> fill);

}  // namespace fletching::python
