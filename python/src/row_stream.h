// Rows of a scan on their way to Python, batch by batch.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "arrow/type_fwd.h"
#include <nanobind/nanobind.h>

#include "fletching/status.h"

#include "python/src/arrow_bridge.h"

namespace fletching::python {

// One batch, for whoever takes the Arrow C interface.
struct RowBatch {
  std::shared_ptr<arrow::RecordBatch> batch;
};

// Not the C interface's own stream: an error passes that as text, and this way it keeps its class.
class RowStream {
 public:
  // raise_interrupt (may be empty) throws what a signal handler raised while a batch was waited
  // for.
  explicit RowStream(std::shared_ptr<arrow::RecordBatchReader> reader,
                     std::function<void()> raise_interrupt = {});
  ~RowStream();
  nanobind::object Schema() const;
  std::optional<RowBatch> Next();

 private:
  std::shared_ptr<arrow::RecordBatchReader> reader_;
  std::function<void()> raise_interrupt_;
};

void BindRowStream(nanobind::module_& module);

}  // namespace fletching::python
