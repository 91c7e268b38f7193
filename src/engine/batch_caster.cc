#include "engine/batch_caster.h"

#include "ingest/cast.h"

namespace fletching::engine {
namespace {

class Caster final : public table::BatchCaster {
 public:
  Status Validate(const arrow::Array& column) const override {
    return ingest::ValidateColumn(column);
  }
  Result<std::shared_ptr<arrow::Array>> Cast(const std::shared_ptr<arrow::Array>& column,
                                             const std::shared_ptr<arrow::DataType>& type,
                                             bool strict) const override {
    return ingest::CastColumn(column, type, {.allow_float_narrowing = !strict});
  }
};

}  // namespace

const table::BatchCaster* IngestCaster() {
  static const Caster caster;
  return &caster;
}

}  // namespace fletching::engine
