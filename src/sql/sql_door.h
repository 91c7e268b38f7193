// SQL over the tables of an engine, answered by DuckDB. The stages: parse and check
// (statement_check.h) -> pin one version of every table that is named -> run -> render, by whoever
// reads the rows.
//
// Threads: any. Lifetime: the engine outlives it, and it outlives its readers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "arrow/type_fwd.h"

#include "fletching/fwd.h"
#include "fletching/status.h"

#include "duck/duck_database.h"

namespace fletching::sql {

struct SqlOptions {
  duck::DuckOptions duck = {};
  int64_t timeout_ms_max = 60'000;  // of a query, until its last row was read
  int queries_max = 8;              // at once; others are refused, not queued
};

struct SqlRequest {
  std::string text = {};
  duck::QueryParameters parameters = {};
  int64_t timeout_ms = 0;  // 0: SqlOptions::timeout_ms_max, which also bounds others
  int64_t rows_max = 0;    // 0: no limit; an answer with more is an error
  // Asked for each table that is named; what it says is the answer. May be empty.
  std::function<Status(const std::string& table)> may_read = {};
};

class SqlDoor {
 public:
  // DuckDB is looked for at the first query, so that nobody needs it who asks none.
  SqlDoor(const Engine* engine, SqlOptions options);
  ~SqlDoor();

  // The rows, made while they are read: batches of at most 2,048. Every table is read as it was
  // at one moment.
  // Errors, also of the reader: kInvalidArgument in DuckDB's words; kForbidden for what is not
  // offered; kNotFound for a table, with the name that may have been meant; kDeadline; kTooLarge
  // for more rows or memory than allowed; kBusy; kUnsupported without DuckDB, saying what to do.
  Result<std::shared_ptr<arrow::RecordBatchReader>> Query(const SqlRequest& request);

 private:
  class Impl;
  const std::shared_ptr<Impl> impl_;
};

}  // namespace fletching::sql
