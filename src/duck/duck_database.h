// A DuckDB in memory that can reach nothing but what is shared with it, and queries on it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "arrow/type_fwd.h"

#include "fletching/status.h"

#include "duck/duck_api.h"
#include "duck/query_value.h"

namespace fletching::duck {

// Rows that queries may read, one version of them. Threads: any.
class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual const std::shared_ptr<arrow::Schema>& schema() const = 0;
  virtual int64_t row_count_guess() const = 0;
  // columns: indexes into the schema, in the order of the answer; at least one.
  virtual Result<std::shared_ptr<arrow::RecordBatchReader>> Scan(
      const std::vector<int>& columns) const = 0;
};

struct DuckOptions {
  std::string library = {};                     // as DuckApi::Load
  int64_t memory_bytes_max = int64_t{1} << 30;  // of all queries together
  int threads = 2;                              // likewise
  std::string spill_folder = {};                // for what exceeds the memory; "": an error
};

class DuckConnection;

// Threads: any. Lifetime: kept by its connections.
class DuckDatabase : public std::enable_shared_from_this<DuckDatabase> {
 public:
  // No files, no network, no extensions, no changes of settings. Errors: as DuckApi::Load;
  // kInvalidArgument for options that DuckDB refuses.
  static Result<std::shared_ptr<DuckDatabase>> Open(const DuckOptions& options);
  ~DuckDatabase();

  Result<std::shared_ptr<DuckConnection>> Connect();
  const DuckApi& api() const { return api_; }
  // For conversions of types, which name no query.
  Connection converter() const { return converter_; }

 private:
  friend class DuckConnection;
  explicit DuckDatabase(const DuckApi& api) : api_(api) {}
  uint64_t Share(std::shared_ptr<const RowSource> source);
  std::shared_ptr<const RowSource> FindShared(uint64_t number) const;
  void Unshare(uint64_t number);
  Status RegisterRows();
  Status CloseUp();
  static void BindRows(BindInfo info);

  const DuckApi& api_;
  Database database_ = nullptr;
  Connection converter_ = nullptr;
  mutable std::mutex mutex_;
  std::map<uint64_t, std::shared_ptr<const RowSource>> shared_;
  uint64_t next_number_ = 1;
};

// One user's place in the database. Threads: one at a time, but for Interrupt.
class DuckConnection : public std::enable_shared_from_this<DuckConnection> {
 public:
  ~DuckConnection();
  DuckConnection(const DuckConnection&) = delete;
  DuckConnection& operator=(const DuckConnection&) = delete;

  // Queries of this connection find `source` under this name, as long as the connection lives.
  Status AddTable(const std::string& name, std::shared_ptr<const RowSource> source);

  // One statement. Rows are made while they are read, in batches of at most kChunkRowsMax; the
  // reader keeps the connection, and before the next query it must be gone.
  // Errors, also of the reader: as ErrorOf; kInvalidArgument for parameters that do not fit.
  Result<std::shared_ptr<arrow::RecordBatchReader>> Query(const std::string& text,
                                                          const QueryParameters& parameters);
  // Ends what runs, from any thread, with kCancelled.
  void Interrupt();

  const DuckApi& api() const { return database_->api(); }

 private:
  friend class DuckDatabase;
  explicit DuckConnection(std::shared_ptr<DuckDatabase> database)
      : database_(std::move(database)) {}
  Result<Prepared> Prepare(const std::string& text);
  Status Bind(Prepared prepared, const QueryParameters& parameters);
  Result<Value> MakeValue(const QueryValue& value);

  const std::shared_ptr<DuckDatabase> database_;
  Connection connection_ = nullptr;
  std::vector<uint64_t> shared_;
};

// "name" as an identifier of SQL.
std::string QuoteName(const std::string& name);

}  // namespace fletching::duck
