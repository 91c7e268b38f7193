// One column of a JSON body on its way into an Arrow array: takes the values one by one, as JSON
// wrote them, and knows how each type of ours is written. Does not know JSON's syntax.
//
// Written as: bool as true and false; integers as digits; floats as any number; utf8 as a string;
// binary as a base64 string; date32 as "2013-01-31", times as "23:59:59.5", timestamps as
// "2013-01-31T23:59:59.5Z", or all three as integers in the column's unit; lists as arrays.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "arrow/type_fwd.h"

#include "fletching/status.h"

namespace fletching::ingest {

// Errors of every Append: kInvalidArgument ("1.5 is not an int32"); the caller adds column and row.
// After an error the column must not be used any more.
class JsonColumn {
 public:
  // Errors: kUnsupported for a type that CheckType refuses.
  // Lifetime: the pool must outlive the arrays.
  static Result<std::unique_ptr<JsonColumn>> Make(const std::shared_ptr<arrow::DataType>& type,
                                                  arrow::MemoryPool* pool);
  virtual ~JsonColumn() = default;

  Status AppendNull();
  virtual Status AppendBool(bool value);
  // `digits` is the number as it stands in the body.
  virtual Status AppendNumber(std::string_view digits);
  virtual Status AppendText(std::string_view text);
  // Values between the two belong to one list.
  virtual Status BeginList();
  virtual Status EndList();

  // Where the values between BeginList and EndList go; null for anything but a list.
  virtual JsonColumn* list_values() { return nullptr; }

  int64_t length() const;
  Result<std::shared_ptr<arrow::Array>> Finish();
  const std::shared_ptr<arrow::ArrayBuilder>& builder() const { return builder_; }

 protected:
  JsonColumn(std::shared_ptr<arrow::DataType> type, std::shared_ptr<arrow::ArrayBuilder> builder)
      : type_(std::move(type)), builder_(std::move(builder)) {}
  const arrow::DataType& type() const { return *type_; }
  // "a string where the schema says int32"
  Status WrongKind(std::string_view kind) const;

 private:
  std::shared_ptr<arrow::DataType> type_;  // builders of lists make theirs anew on every call
  std::shared_ptr<arrow::ArrayBuilder> builder_;
};

}  // namespace fletching::ingest
