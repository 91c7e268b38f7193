#include "api/flight/service.h"

#include <chrono>
#include <string_view>
#include <utility>
#include <vector>

#include "arrow/array.h"
#include "arrow/buffer.h"
#include "arrow/flight/server.h"
#include "arrow/ipc/writer.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"

#include "fletching/engine.h"

#include "api/error_map.h"
#include "api/flight/answer_note.h"
#include "api/flight/call_gate.h"
#include "api/flight/put_command.h"
#include "api/flight/put_stream.h"
#include "api/flight/table_schema.h"
#include "api/ipc_answer.h"
#include "api/json_request.h"
#include "api/unit_text.h"
#include "api/write_body.h"

namespace fletching::flight {
namespace {

using arrow::flight::FlightDescriptor;
using arrow::flight::FlightInfo;
using arrow::flight::FlightPayload;
using arrow::flight::FlightStatusCode;
using arrow::flight::ServerCallContext;

constexpr int64_t kFrameBytes = 8;  // before a message in a stream; Flight leaves it out

// The answer of a DoGet: the schema's message, which is kept, and the batch's own buffers.
class AnswerStream final : public arrow::flight::FlightDataStream {
 public:
  AnswerStream(api::AnswerHead head, std::shared_ptr<arrow::RecordBatch> batch,
               std::shared_ptr<arrow::Buffer> note)
      : head_(std::move(head)), batch_(std::move(batch)), note_(std::move(note)) {}

  std::shared_ptr<arrow::Schema> schema() override { return head_.schema; }

  Result<FlightPayload> GetSchemaPayload() override {
    FlightPayload payload;
    payload.ipc_message.type = arrow::ipc::MessageType::SCHEMA;
    payload.ipc_message.metadata = arrow::SliceBuffer(head_.message, kFrameBytes);
    return payload;
  }

  Result<FlightPayload> Next() override {
    FlightPayload payload;
    if (batch_ == nullptr) return payload;  // without metadata: the end
    const arrow::ipc::IpcWriteOptions options;
    ARROW_RETURN_NOT_OK(arrow::ipc::GetRecordBatchPayload(*batch_, options, &payload.ipc_message));
    payload.app_metadata = std::move(note_);
    batch_ = nullptr;
    return payload;
  }

 private:
  const api::AnswerHead head_;
  std::shared_ptr<arrow::RecordBatch> batch_;
  std::shared_ptr<arrow::Buffer> note_;
};

// Batches of a DoPut as the engine pulls them. Where the stream breaks off, it is an error: the
// transport itself makes no difference between that and the end.
class PutReader final : public arrow::RecordBatchReader {
 public:
  PutReader(arrow::flight::FlightMessageReader* stream, const ServerCallContext& context,
            int64_t batch_bytes_max)
      : stream_(stream), context_(context), batch_bytes_max_(batch_bytes_max) {}

  Status Open() {
    auto schema = stream_->GetSchema();
    if (!schema.ok()) return StreamError(schema.status(), context_);
    schema_ = *std::move(schema);
    return Status::OK();
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    while (rest_ == nullptr) {
      auto chunk = stream_->Next();
      if (!chunk.ok()) return StreamError(chunk.status(), context_);
      if (chunk->data != nullptr) {
        ARROW_RETURN_NOT_OK(CheckBatchBytes(*chunk->data, batch_bytes_max_));
        rest_ = std::move(chunk->data);
      } else if (chunk->app_metadata == nullptr) {
        *out = nullptr;
        return AwaitEndOfCall([this] { return context_.is_cancelled(); });
      }
    }
    *out = rest_->Slice(0, kSliceRows);
    rest_ = rest_->num_rows() > kSliceRows ? rest_->Slice(kSliceRows) : nullptr;
    return Status::OK();
  }

 private:
  arrow::flight::FlightMessageReader* const stream_;
  const ServerCallContext& context_;
  const int64_t batch_bytes_max_;
  std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<arrow::RecordBatch> rest_;  // of a long batch
};

Result<std::string> TableOf(const FlightDescriptor& descriptor) {
  if (descriptor.type != FlightDescriptor::PATH || descriptor.path.size() != 1) {
    return InvalidArgument("the descriptor must be a path of one part, the table's name");
  }
  return descriptor.path[0];
}

Result<FlightInfo> InfoOf(const TableInfo& table) {
  // Which keys are wanted only a ticket says, so there are no endpoints; -1 = not told.
  return FlightInfo::Make(*ArrowSchemaOf(table.schema), FlightDescriptor::Path({table.name}), {},
                          -1, -1);
}

class Service final : public arrow::flight::FlightServerBase {
 public:
  explicit Service(ServiceState* state) : state_(state), engine_(state->engine) {}

  Status ListFlights(const ServerCallContext& context, const arrow::flight::Criteria*,
                     std::unique_ptr<arrow::flight::FlightListing>* listings) override {
    return Run("ListFlights", context, [&](CallEvent*) -> Status {
      std::vector<FlightInfo> infos;
      for (const TableInfo& table : engine_->ListTables()) {
        if (table.schema.columns.empty()) continue;  // too damaged to say what it looked like
        if (!CallerOf(context).May(access::Need::kRead, table.name)) continue;
        ARROW_ASSIGN_OR_RAISE(FlightInfo info, InfoOf(table));
        infos.push_back(std::move(info));
      }
      *listings = std::make_unique<arrow::flight::SimpleFlightListing>(std::move(infos));
      return Status::OK();
    });
  }

  Status GetFlightInfo(const ServerCallContext& context, const FlightDescriptor& descriptor,
                       std::unique_ptr<FlightInfo>* info) override {
    return Run("GetFlightInfo", context, [&](CallEvent* event) -> Status {
      ARROW_ASSIGN_OR_RAISE(const std::string name, TableOf(descriptor));
      ARROW_RETURN_NOT_OK(Admit(context, *event, name));
      ARROW_ASSIGN_OR_RAISE(const TableInfo table, engine_->GetTable(name));
      ARROW_ASSIGN_OR_RAISE(FlightInfo made, InfoOf(table));
      *info = std::make_unique<FlightInfo>(std::move(made));
      return Status::OK();
    });
  }

  Status GetSchema(const ServerCallContext& context, const FlightDescriptor& descriptor,
                   std::unique_ptr<arrow::flight::SchemaResult>* schema) override {
    return Run("GetSchema", context, [&](CallEvent* event) -> Status {
      ARROW_ASSIGN_OR_RAISE(const std::string name, TableOf(descriptor));
      ARROW_RETURN_NOT_OK(Admit(context, *event, name));
      ARROW_ASSIGN_OR_RAISE(const TableInfo table, engine_->GetTable(name));
      return arrow::flight::SchemaResult::Make(*ArrowSchemaOf(table.schema)).Value(schema);
    });
  }

  Status DoGet(const ServerCallContext& context, const arrow::flight::Ticket& ticket,
               std::unique_ptr<arrow::flight::FlightDataStream>* stream) override {
    return Run("DoGet", context, [&](CallEvent* event) -> Status {
      const int64_t bytes_max = state_->options.keys_bytes_max;
      if (static_cast<int64_t>(ticket.ticket.size()) > bytes_max) {
        return TooLarge("a ticket may have " + api::FormatBytes(bytes_max) +
                        "; send the keys by DoExchange, or fewer of them");
      }
      ARROW_ASSIGN_OR_RAISE(auto request,
                            api::ParseKeysRequest(ticket.ticket, api::KeysBody::kTicket));
      ARROW_RETURN_NOT_OK(Admit(context, *event, request.table));
      ARROW_ASSIGN_OR_RAISE(const TableInfo table, engine_->GetTable(request.table));
      const bool dense = request.form == api::KeysForm::kList;
      ReadRequest read{.table = table.name, .hits_only = !dense};
      ARROW_ASSIGN_OR_RAISE(read.keys, api::ToKeyArrays(&request, table.schema));
      read.columns = std::move(request.columns);
      ARROW_ASSIGN_OR_RAISE(const ReadResult rows, engine_->Read(read));
      ARROW_ASSIGN_OR_RAISE(api::AnswerHead head, api::AnswerHeadOf(*rows.batch->schema(), !dense));
      auto batch = api::WholeAnswer(rows.batch, rows.positions, head);
      event->rows = batch->num_rows();
      *stream = std::make_unique<AnswerStream>(std::move(head), std::move(batch),
                                               AnswerNote(0, rows, dense));
      return Status::OK();
    });
  }

  Status DoPut(const ServerCallContext& context,
               std::unique_ptr<arrow::flight::FlightMessageReader> reader,
               std::unique_ptr<arrow::flight::FlightMetadataWriter> writer) override {
    return Run("DoPut", context, [&](CallEvent* event) -> Status {
      WriteRequest write;
      const FlightDescriptor& descriptor = reader->descriptor();
      if (descriptor.type == FlightDescriptor::CMD) {
        ARROW_ASSIGN_OR_RAISE(write, ParsePutCommand(descriptor.cmd));
      } else {
        ARROW_ASSIGN_OR_RAISE(std::string name, TableOf(descriptor));
        write = api::WriteTo(std::move(name));
      }
      ARROW_RETURN_NOT_OK(Admit(context, *event, write.table));
      ARROW_RETURN_NOT_OK(engine_->GetTable(write.table).status());
      write.on_progress = [&](int64_t) {
        if (context.is_cancelled()) return Cancelled("the client is gone; nothing was written");
        return state_->cancelled.load()
                   ? Unavailable("the server is shutting down; nothing was written")
                   : Status::OK();
      };
      PutReader rows(reader.get(), context, state_->options.batch_bytes_max);
      ARROW_RETURN_NOT_OK(rows.Open());
      ARROW_ASSIGN_OR_RAISE(const WriteResult result, engine_->Write(write, &rows));
      event->rows = result.row_count;
      const auto answer =
          arrow::Buffer::FromString("{\"rows\":" + std::to_string(result.row_count) +
                                    ",\"version\":" + std::to_string(result.version) + "}");
      return writer->WriteMetadata(*answer);
    });
  }

  Status DoExchange(const ServerCallContext& context,
                    std::unique_ptr<arrow::flight::FlightMessageReader> reader,
                    std::unique_ptr<arrow::flight::FlightMessageWriter> writer) override {
    return Run("DoExchange", context, [&](CallEvent* event) -> Status {
      ARROW_ASSIGN_OR_RAISE(const std::string name, TableOf(reader->descriptor()));
      ARROW_RETURN_NOT_OK(Admit(context, *event, name));
      return RunExchange(state_, context, name, reader.get(), writer.get(), &event->rows);
    });
  }

 private:
  // Whether the caller may do this with the table.
  Status Admit(const ServerCallContext& context, const CallEvent& event,
               const std::string& table) const {
    const access::Guard* guard = state_->options.guard;
    if (guard == nullptr) return Status::OK();
    return guard->Check(CallerOf(context), NeedOf(event.method), table);
  }

  // One call: what it did is told, and its error is put into Flight's words.
  template <typename Call>
  Status Run(std::string_view method, const ServerCallContext& context, const Call& call) {
    const auto start = std::chrono::steady_clock::now();
    CallEvent event{.method = method, .status = "ok"};
    Status status = call(&event);
    if (!status.ok()) {
      const ErrorCode code = CodeOf(status);
      event.status = CodeName(code);
      const int http = api::AnswerFor(code).http_status;
      event.failed = http >= 500 && http != 503;
      context.AddTrailer("fletching-error", std::string(event.status));
    }
    if (state_->options.on_call) {
      using std::chrono::microseconds;
      const auto took = std::chrono::steady_clock::now() - start;
      event.micros = std::chrono::duration_cast<microseconds>(took).count();
      event.error = event.failed ? std::string_view(status.message()) : std::string_view();
      state_->options.on_call(event);
    }
    return status.ok() ? status : ToFlightStatus(status);
  }

  ServiceState* const state_;
  Engine* const engine_;
};

}  // namespace

std::unique_ptr<arrow::flight::FlightServerBase> MakeService(ServiceState* state) {
  return std::make_unique<Service>(state);
}

Status ToFlightStatus(const Status& status) {
  using arrow::flight::MakeFlightError;
  const std::string_view name = api::AnswerFor(CodeOf(status)).flight;
  const std::string& text = status.message();
  if (name == "INVALID_ARGUMENT") return Status::Invalid(text);
  if (name == "NOT_FOUND") return Status::KeyError(text);
  if (name == "ALREADY_EXISTS") return Status::AlreadyExists(text);
  if (name == "UNIMPLEMENTED") return Status::NotImplemented(text);
  if (name == "CANCELLED") return MakeFlightError(FlightStatusCode::Cancelled, text);
  if (name == "DEADLINE_EXCEEDED") return MakeFlightError(FlightStatusCode::TimedOut, text);
  if (name == "UNAUTHENTICATED") return MakeFlightError(FlightStatusCode::Unauthenticated, text);
  if (name == "PERMISSION_DENIED") return MakeFlightError(FlightStatusCode::Unauthorized, text);
  if (name == "UNAVAILABLE") return MakeFlightError(FlightStatusCode::Unavailable, text);
  return MakeFlightError(FlightStatusCode::Internal, text);
}

Status StreamError(const Status& status, const ServerCallContext& context) {
  if (context.is_cancelled()) return Cancelled("the call was cancelled");
  if (status.detail() != nullptr) return status;
  return InvalidArgument("Arrow stream: " + status.message());
}

}  // namespace fletching::flight
