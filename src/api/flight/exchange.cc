// Many look-ups on one stream: no parsing of text, no new call, one schema for all answers.
#include <optional>
#include <string>
#include <utility>

#include "arrow/array/util.h"
#include "arrow/flight/server.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"
#include "arrow/util/key_value_metadata.h"

#include "fletching/engine.h"

#include "api/flight/answer_note.h"
#include "api/flight/put_stream.h"
#include "api/flight/service.h"
#include "api/ipc_answer.h"
#include "api/ipc_body.h"

namespace fletching::flight {
namespace {

// Schema metadata "answer": "dense", also when it is not there, or "hits".
Result<bool> WantsDense(const arrow::Schema& stream) {
  const int at = stream.metadata() == nullptr ? -1 : stream.metadata()->FindKey("answer");
  if (at < 0 || stream.metadata()->value(at) == "dense") return true;
  if (stream.metadata()->value(at) == "hits") return false;
  return InvalidArgument("schema metadata 'answer' is 'dense' or 'hits', not '" +
                         stream.metadata()->value(at).substr(0, 64) + "'");
}

Result<KeyArrays> NoKeys(const arrow::Schema& stream, const api::KeyStream& keys) {
  KeyArrays none;
  for (const int place : keys.places) {
    ARROW_ASSIGN_OR_RAISE(auto column, arrow::MakeEmptyArray(stream.field(place)->type()));
    none.push_back(std::move(column));
  }
  return none;
}

// One exchange under way.
class Exchange {
 public:
  Exchange(const Engine& engine, arrow::flight::FlightMessageWriter* answers)
      : engine_(engine), answers_(answers) {}

  // Sends the schema of all answers, so that a client knows it before its first keys.
  Status Begin(const TableInfo& table, const arrow::Schema& stream) {
    ARROW_ASSIGN_OR_RAISE(keys_, api::ParseKeySchema(stream, table.schema));
    if (!keys_.columns.has_value() && !keys_.all_columns) {
      return InvalidArgument(
          "schema metadata 'columns' is missing; it is a JSON list of names, or *");
    }
    ARROW_ASSIGN_OR_RAISE(dense_, WantsDense(stream));
    read_.table = table.name;
    read_.columns = keys_.columns;
    read_.hits_only = !dense_;
    ARROW_ASSIGN_OR_RAISE(read_.keys, NoKeys(stream, keys_));
    ARROW_ASSIGN_OR_RAISE(const ReadResult none, engine_.Read(read_));
    values_ = none.batch->schema();
    ARROW_ASSIGN_OR_RAISE(head_, api::AnswerHeadOf(*values_, !dense_));
    return answers_->Begin(head_.schema, arrow::ipc::IpcWriteOptions::Defaults());
  }

  // -> rows answered
  Result<int64_t> Answer(const arrow::RecordBatch& batch) {
    ARROW_ASSIGN_OR_RAISE(read_.keys, api::KeysOfBatch(batch, keys_));
    ARROW_ASSIGN_OR_RAISE(const ReadResult rows, engine_.Read(read_));
    if (!rows.batch->schema()->Equals(*values_)) {
      return InvalidArgument("the table's columns have changed; open a new exchange");
    }
    const auto answer = api::WholeAnswer(rows.batch, rows.positions, head_);
    ARROW_RETURN_NOT_OK(
        answers_->WriteWithMetadata(*answer, AnswerNote(request_count_++, rows, dense_)));
    return answer->num_rows();
  }

 private:
  const Engine& engine_;
  arrow::flight::FlightMessageWriter* const answers_;
  api::KeyStream keys_;
  bool dense_ = true;
  ReadRequest read_;
  std::shared_ptr<arrow::Schema> values_;
  api::AnswerHead head_;
  uint64_t request_count_ = 0;
};

}  // namespace

Status RunExchange(ServiceState* state, const arrow::flight::ServerCallContext& context,
                   const std::string& table, arrow::flight::FlightMessageReader* keys,
                   arrow::flight::FlightMessageWriter* answers, int64_t* row_count) {
  ARROW_ASSIGN_OR_RAISE(const TableInfo info, state->engine->GetTable(table));
  const auto schema = keys->GetSchema();
  if (!schema.ok()) return StreamError(schema.status(), context);
  Exchange exchange(*state->engine, answers);
  ARROW_RETURN_NOT_OK(exchange.Begin(info, **schema));
  while (!state->stopping.load()) {
    state->waiting.fetch_add(1);
    const auto chunk = keys->Next();
    state->waiting.fetch_sub(1);
    if (!chunk.ok()) return StreamError(chunk.status(), context);
    if (chunk->data == nullptr && chunk->app_metadata == nullptr) return Status::OK();
    if (chunk->data == nullptr) continue;  // a message without keys
    ARROW_RETURN_NOT_OK(CheckBatchBytes(*chunk->data, state->options.keys_bytes_max));
    ARROW_ASSIGN_OR_RAISE(const int64_t rows, exchange.Answer(*chunk->data));
    *row_count += rows;
  }
  return Unavailable("the server is shutting down");
}

}  // namespace fletching::flight
