#include "python/src/matrix.h"

#include <string>

#include <arrow/record_batch.h>

#include "base/matrix.h"
#include "python/src/errors.h"
#include "python/src/gil.h"

namespace nb = nanobind;

namespace fletching::python {
namespace {

std::optional<MatrixType> TypeOf(nb::dlpack::dtype dtype) {
  const nb::dlpack::dtype half{static_cast<uint8_t>(nb::dlpack::dtype_code::Float), 16, 1};
  if (dtype == nb::dtype<float>()) return MatrixType::kFloat32;
  if (dtype == nb::dtype<double>()) return MatrixType::kFloat64;
  if (dtype == half) return MatrixType::kFloat16;
  if (dtype == nb::dtype<int32_t>()) return MatrixType::kInt32;
  if (dtype == nb::dtype<int64_t>()) return MatrixType::kInt64;
  return std::nullopt;
}

}  // namespace

MatrixMemory::MatrixMemory(nb::handle out) {
  if (!nb::try_cast(out, memory_, false)) {
    nb::ndarray<nb::ro> any;
    if (!nb::try_cast(out, any, false)) {
      Raise(InvalidArgument(
          "out lends no memory; give a NumPy array, or a tensor that speaks DLPack"));
    }
    Raise(InvalidArgument(any.device_type() == nb::device::cpu::value
                              ? "out is read-only; give an array that may be written"
                              : "out is on another device; give one in memory of the CPU"));
  }
  if (memory_.ndim() != 2) {
    Raise(InvalidArgument("out has " + std::to_string(memory_.ndim()) +
                          " dimensions; a matrix has two: keys and columns"));
  }
  const std::optional<MatrixType> type = TypeOf(memory_.dtype());
  if (!type.has_value()) {
    Raise(
        InvalidArgument("out is of another dtype than float32, float64, float16, int32 or int64"));
  }
  const int64_t width = memory_.dtype().bits / 8;
  view_ = {memory_.data(),
           *type,
           static_cast<int64_t>(memory_.shape(0)),
           static_cast<int64_t>(memory_.shape(1)),
           memory_.stride(0) * width,
           memory_.stride(1) * width};
}

void WriteMatrix(const arrow::RecordBatch& batch, nb::handle out, std::optional<double> fill) {
  const MatrixMemory memory(out);
  const MatrixView& view = memory.view();
  RaiseIfError(CheckShape(view, batch.num_rows(), batch.num_columns()));
  const Status status = [&] {
    GilReleased released;
    const auto target = MatrixTarget::Make(view, fill);
    return target.ok() ? FillMatrix(batch, *target) : target.status();
  }();
  RaiseIfError(status);
}

}  // namespace fletching::python
