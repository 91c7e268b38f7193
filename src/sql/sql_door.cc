#include "sql/sql_door.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "fletching/engine.h"

#include "base/nearest_name.h"
#include "sql/deadlines.h"
#include "sql/statement_check.h"

namespace fletching::sql {
namespace {

std::shared_ptr<arrow::Schema> ScanSchema(const TableSchema& schema) {
  arrow::FieldVector fields;
  for (const ColumnSchema& column : schema.columns) {
    fields.push_back(arrow::field(column.name, column.type));
  }
  return arrow::schema(std::move(fields));
}

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::vector<std::string_view> NamesOf(const std::vector<TableInfo>& tables) {
  std::vector<std::string_view> names;
  for (const TableInfo& table : tables) names.push_back(table.name);
  return names;
}

// A pinned table as what a query reads.
class TableRows final : public duck::RowSource {
 public:
  explicit TableRows(std::shared_ptr<const PinnedTable> table)
      : table_(std::move(table)), schema_(ScanSchema(table_->schema())) {}
  const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }
  int64_t row_count_guess() const override { return table_->row_count_max(); }
  Result<std::shared_ptr<arrow::RecordBatchReader>> Scan(
      const std::vector<int>& columns) const override {
    ScanRequest request;
    request.columns.emplace();
    for (const int column : columns) request.columns->push_back(schema_->field(column)->name());
    return table_->Scan(request);
  }

 private:
  const std::shared_ptr<const PinnedTable> table_;
  const std::shared_ptr<arrow::Schema> schema_;
};

}  // namespace

class SqlDoor::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(const Engine* engine, SqlOptions options) : engine_(engine), options_(std::move(options)) {}

  Result<std::shared_ptr<arrow::RecordBatchReader>> Query(const SqlRequest& request);

 private:
  class Answer;
  class Place;  // among the queries at once

  Result<std::shared_ptr<duck::DuckDatabase>> Database();
  Status AddTable(const SqlRequest& request, const std::string& name,
                  duck::DuckConnection* connection) const;
  Status NoTable(const std::string& name) const;
  std::string AsStored(const std::string& name) const;

  const Engine* const engine_;
  const SqlOptions options_;
  std::atomic<int> query_count_ = 0;
  std::mutex mutex_;
  std::shared_ptr<duck::DuckDatabase> database_;
  Deadlines deadlines_;
};

class SqlDoor::Impl::Place {
 public:
  explicit Place(std::shared_ptr<Impl> door) : door_(std::move(door)) {
    is_free_ = door_->query_count_.fetch_add(1) < door_->options_.queries_max;
  }
  ~Place() { door_->query_count_.fetch_sub(1); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  bool is_free() const { return is_free_; }

 private:
  const std::shared_ptr<Impl> door_;
  bool is_free_;
};

// The rows of a query within its limits.
class SqlDoor::Impl::Answer final : public arrow::RecordBatchReader {
 public:
  Answer(std::unique_ptr<Place> place, std::unique_ptr<Deadlines::Watch> watch, int64_t timeout_ms,
         int64_t rows_max)
      : place_(std::move(place)),
        watch_(std::move(watch)),
        timeout_ms_(timeout_ms),
        rows_max_(rows_max) {}

  Status Begin(duck::DuckConnection* connection, const SqlRequest& request) {
    return InTime(connection->Query(request.text, request.parameters).Value(&rows_));
  }

  std::shared_ptr<arrow::Schema> schema() const override { return rows_->schema(); }

  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    *batch = nullptr;
    if (rows_ == nullptr) return Status::OK();
    ARROW_RETURN_NOT_OK(InTime(rows_->ReadNext(batch)));
    if (*batch == nullptr) return Status::OK();
    row_count_ += (*batch)->num_rows();
    if (rows_max_ == 0 || row_count_ <= rows_max_) return Status::OK();
    *batch = nullptr;
    return TooLarge("the answer has more than " + std::to_string(rows_max_) +
                    " rows; add a LIMIT or ask for more");
  }

  Status InTime(const Status& status) const {
    if (status.ok() || !watch_->has_passed() || CodeOf(status) != ErrorCode::kCancelled) {
      return status;
    }
    return MakeError(ErrorCode::kDeadline,
                     "the query took longer than " + std::to_string(timeout_ms_) + " ms");
  }

 private:
  // In the order in which they begin; they end the other way round.
  const std::unique_ptr<Place> place_;
  const std::unique_ptr<Deadlines::Watch> watch_;
  const int64_t timeout_ms_;
  const int64_t rows_max_;
  std::shared_ptr<arrow::RecordBatchReader> rows_;
  int64_t row_count_ = 0;
};

Result<std::shared_ptr<duck::DuckDatabase>> SqlDoor::Impl::Database() {
  const std::lock_guard lock(mutex_);
  if (database_ == nullptr) {
    ARROW_ASSIGN_OR_RAISE(database_, duck::DuckDatabase::Open(options_.duck));
  }
  return database_;
}

Status SqlDoor::Impl::NoTable(const std::string& name) const {
  const std::vector<TableInfo> tables = engine_->ListTables();
  const std::vector<std::string_view> names = NamesOf(tables);
  return MakeError(ErrorCode::kNotFound,
                   NotFound("table", name).message() + DidYouMean(name, names));
}

// SQL does not know the case of names, and no two tables differ by it alone.
std::string SqlDoor::Impl::AsStored(const std::string& name) const {
  const std::vector<TableInfo> tables = engine_->ListTables();
  for (const TableInfo& table : tables) {
    if (std::ranges::equal(table.name, name, {}, &Lower, &Lower)) return table.name;
  }
  return name;
}

Status SqlDoor::Impl::AddTable(const SqlRequest& request, const std::string& name,
                               duck::DuckConnection* connection) const {
  const std::string stored = AsStored(name);
  if (request.may_read) ARROW_RETURN_NOT_OK(request.may_read(stored));
  auto table = engine_->Pin(stored);
  if (!table.ok()) {
    return CodeOf(table.status()) == ErrorCode::kNotFound ? NoTable(name) : table.status();
  }
  return connection->AddTable(name, std::make_shared<TableRows>(*std::move(table)));
}

Result<std::shared_ptr<arrow::RecordBatchReader>> SqlDoor::Impl::Query(const SqlRequest& request) {
  auto place = std::make_unique<Place>(shared_from_this());
  if (!place->is_free()) {
    return Busy(std::to_string(options_.queries_max) + " queries run already; try again");
  }
  const int64_t timeout_ms = request.timeout_ms > 0
                                 ? std::min(request.timeout_ms, options_.timeout_ms_max)
                                 : options_.timeout_ms_max;
  const auto at = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  ARROW_ASSIGN_OR_RAISE(const auto database, Database());
  ARROW_ASSIGN_OR_RAISE(const auto connection, database->Connect());
  ARROW_ASSIGN_OR_RAISE(const CheckedStatement checked,
                        CheckStatement(connection.get(), request.text));
  for (const std::string& name : checked.tables) {
    ARROW_RETURN_NOT_OK(AddTable(request, name, connection.get()));
  }
  auto watch = std::make_unique<Deadlines::Watch>(&deadlines_, connection, at);
  auto answer =
      std::make_shared<Answer>(std::move(place), std::move(watch), timeout_ms, request.rows_max);
  ARROW_RETURN_NOT_OK(answer->Begin(connection.get(), request));
  return answer;
}

SqlDoor::SqlDoor(const Engine* engine, SqlOptions options)
    : impl_(std::make_shared<Impl>(engine, std::move(options))) {}

SqlDoor::~SqlDoor() = default;

Result<std::shared_ptr<arrow::RecordBatchReader>> SqlDoor::Query(const SqlRequest& request) {
  return impl_->Query(request);
}

}  // namespace fletching::sql
