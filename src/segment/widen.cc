#include "segment/widen.h"

#include <arrow/type.h>
#include <arrow/util/float16.h>

#include "base/bytes.h"
#include "base/check.h"

namespace fletching::segment {
namespace {

template <typename From, typename To>
void Widen(const uint8_t* source, uint8_t* target) {
  StoreAs(target, static_cast<To>(LoadAs<From>(source)));
}

template <typename To>
void WidenHalf(const uint8_t* source, uint8_t* target) {
  const auto half = arrow::util::Float16::FromBits(LoadAs<uint16_t>(source));
  StoreAs(target, static_cast<To>(half.ToFloat()));
}

template <typename From>
WidenFunction FindTarget(arrow::Type::type to) {
  switch (to) {
    case arrow::Type::INT16:
      return Widen<From, int16_t>;
    case arrow::Type::INT32:
      return Widen<From, int32_t>;
    case arrow::Type::INT64:
      return Widen<From, int64_t>;
    case arrow::Type::UINT16:
      return Widen<From, uint16_t>;
    case arrow::Type::UINT32:
      return Widen<From, uint32_t>;
    case arrow::Type::UINT64:
      return Widen<From, uint64_t>;
    case arrow::Type::FLOAT:
      return Widen<From, float>;
    case arrow::Type::DOUBLE:
      return Widen<From, double>;
    default:
      return nullptr;
  }
}

}  // namespace

WidenFunction FindWiden(const arrow::DataType& from, const arrow::DataType& to) {
  if (from.Equals(to)) return nullptr;
  WidenFunction found = nullptr;
  switch (from.id()) {
    case arrow::Type::INT8:
      found = FindTarget<int8_t>(to.id());
      break;
    case arrow::Type::INT16:
      found = FindTarget<int16_t>(to.id());
      break;
    case arrow::Type::INT32:
      found = FindTarget<int32_t>(to.id());
      break;
    case arrow::Type::UINT8:
      found = FindTarget<uint8_t>(to.id());
      break;
    case arrow::Type::UINT16:
      found = FindTarget<uint16_t>(to.id());
      break;
    case arrow::Type::UINT32:
      found = FindTarget<uint32_t>(to.id());
      break;
    case arrow::Type::FLOAT:
      found = FindTarget<float>(to.id());
      break;
    case arrow::Type::HALF_FLOAT:
      found = to.id() == arrow::Type::FLOAT ? WidenHalf<float> : WidenHalf<double>;
      break;
    default:
      break;
  }
  FLETCHING_CHECK(found != nullptr);
  return found;
}

}  // namespace fletching::segment
