// Routes about rows: fetch, scan, write, delete.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arrow/array.h"
#include "arrow/record_batch.h"
#include "arrow/table.h"

#include "fletching/engine.h"

#include "api/decode_budget.h"
#include "api/door_stages.h"
#include "api/http/handlers.h"
#include "api/ipc_answer.h"
#include "api/ipc_body.h"
#include "api/json_batch.h"
#include "api/json_request.h"
#include "api/unit_text.h"
#include "api/write_body.h"

namespace fletching::http {
namespace {

using api::BodyFormat;

constexpr int64_t kUnfoldedBytesMin = int64_t{16} << 20;
constexpr int64_t kJsonRows = 100;  // of a scan that does not say how many
constexpr int64_t kJsonRowsMax = 10'000;
constexpr std::string_view kVersionHeader = "Fletching-Version";

// Keys and columns out of a body of either format.
struct KeysRequest {
  KeyArrays keys;
  std::optional<std::vector<std::string>> columns;
  bool all_columns = false;
  std::optional<int64_t> event_time_us;
  bool dense = false;  // the list form of JSON: a row for every key
};

// The first bytes, for telling formats apart.
Result<std::string> Start(const api::Body& body) {
  const std::string_view text = body.text().substr(0, 64);
  if (body.in_memory()) return std::string(text);
  api::Body start = body;
  start.size_bytes = std::min<int64_t>(body.size_bytes, 64);
  ARROW_ASSIGN_OR_RAISE(start, start.Loaded());
  return std::string(start.text());
}

// `curl -d` without a header says it is a form; the older servers took it for JSON.
Result<BodyFormat> FormatOf(const HttpRequest& request) {
  const std::string type = MediaType(request.content_type);
  if (type == kJsonType) return BodyFormat::kJson;
  if (type == kArrowType) return BodyFormat::kArrow;
  if (type == kParquetType) return BodyFormat::kParquet;
  ARROW_ASSIGN_OR_RAISE(const std::string start, Start(request.body));
  const bool unsaid = type.empty() || type == "application/x-www-form-urlencoded";
  const size_t first = start.find_first_not_of(" \t\r\n");
  if (unsaid && first != std::string::npos && start[first] == '{') return BodyFormat::kJson;
  std::string text = unsaid ? "the body has no Content-Type"
                            : "Content-Type '" + type.substr(0, 128) + "' is not known";
  text +=
      "; send application/json, " + std::string(kArrowType) + " or " + std::string(kParquetType);
  if (start.starts_with("PAR1")) {
    text += ". The body looks like Parquet: use curl with --data-binary @file (not -d) and " +
            std::string("-H 'Content-Type: ") + std::string(kParquetType) + "'";
  }
  return InvalidArgument(std::move(text));
}

Result<KeysRequest> ParseKeys(const HandlerContext& context, const HttpRequest& request,
                              api::KeysBody what) {
  ARROW_ASSIGN_OR_RAISE(const BodyFormat format, FormatOf(request));
  if (format == BodyFormat::kParquet) {
    return InvalidArgument("keys come as application/json or " + std::string(kArrowType) +
                           ", not as Parquet");
  }
  ARROW_ASSIGN_OR_RAISE(const TableInfo table, context.engine->GetTable(request.path_args[0]));
  KeysRequest parsed;
  if (format == BodyFormat::kArrow) {
    ARROW_ASSIGN_OR_RAISE(auto ipc, api::ParseIpcKeys(request.body, table.schema));
    parsed.keys = std::move(ipc.keys);
    parsed.columns = std::move(ipc.columns);
    parsed.all_columns = ipc.all_columns;
    parsed.event_time_us = ipc.event_time_us;
    return parsed;
  }
  ARROW_ASSIGN_OR_RAISE(auto json, api::ParseKeysRequest(request.body.text(), what));
  parsed.dense = json.form == api::KeysForm::kList;
  ARROW_ASSIGN_OR_RAISE(parsed.keys, api::ToKeyArrays(&json, table.schema));
  parsed.columns = std::move(json.columns);
  parsed.event_time_us = json.event_time_us;
  return parsed;
}

Result<HttpResponse> RenderRows(const ReadResult& rows, std::string_view accept) {
  if (Accepts(accept, kArrowType)) {
    HttpResponse response;
    response.content_type = kArrowType;
    ARROW_ASSIGN_OR_RAISE(response.data, api::WriteIpcStream(rows.batch, rows.positions));
    return response;
  }
  ARROW_ASSIGN_OR_RAISE(std::string text,
                        api::RenderJsonColumns(*rows.batch, rows.positions.get()));
  return JsonResponse(200, std::move(text));
}

Status ParseWriteQuery(std::string_view query, WriteRequest* write) {
  ARROW_ASSIGN_OR_RAISE(const auto pairs, ParseQuery(query));
  for (const auto& [name, value] : pairs) {
    ARROW_ASSIGN_OR_RAISE(const bool taken, api::TakeWriteOption(name, value, write));
    // A misspelt parameter must not turn a patch into a replacement.
    if (!taken) {
      return InvalidArgument("query parameter '" + name.substr(0, 64) + "' is not known");
    }
  }
  return Status::OK();
}

// "columns=a,b&limit=10"; every column, the key first, when none are named.
Result<ScanRequest> ParseScan(const HttpRequest& request) {
  ScanRequest scan{.table = request.path_args[0]};
  ARROW_ASSIGN_OR_RAISE(const auto pairs, ParseQuery(request.query));
  for (const auto& [name, value] : pairs) {
    if (name == "columns") {
      auto& columns = scan.columns.emplace();
      for (size_t start = 0; start <= value.size() && !value.empty();) {
        const size_t end = std::min(value.find(',', start), value.size());
        columns.push_back(value.substr(start, end - start));
        start = end + 1;
      }
    } else if (name == "limit") {
      const auto [end, error] =
          std::from_chars(value.data(), value.data() + value.size(), scan.limit_rows);
      if (error != std::errc() || end != value.data() + value.size() || scan.limit_rows < 0) {
        return InvalidArgument("limit is a number of rows, not '" + value.substr(0, 64) + "'");
      }
    } else {
      return InvalidArgument("query parameter '" + name.substr(0, 64) + "' is not known");
    }
  }
  return scan;
}

HttpResponse Written(const WriteResult& result) {
  HttpResponse response = EmptyResponse(200);
  response.headers.emplace_back("Fletching-Rows", std::to_string(result.row_count));
  response.headers.emplace_back(kVersionHeader, std::to_string(result.version));
  return response;
}

// Decoding takes place while the engine pulls; this tells the two apart.
class TimedRows final : public arrow::RecordBatchReader {
 public:
  // took: by opening them.
  TimedRows(std::shared_ptr<arrow::RecordBatchReader> rows, std::chrono::nanoseconds took)
      : rows_(std::move(rows)), took_(took) {}
  std::shared_ptr<arrow::Schema> schema() const override { return rows_->schema(); }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    const auto started = std::chrono::steady_clock::now();
    const Status status = rows_->ReadNext(batch);
    took_ += std::chrono::steady_clock::now() - started;
    return status;
  }
  std::chrono::nanoseconds took() const { return took_; }

 private:
  const std::shared_ptr<arrow::RecordBatchReader> rows_;
  std::chrono::nanoseconds took_;
};

// Decodes and stores with at most `decode_bytes` held at a time, waiting until they are free.
Result<WriteResult> WriteWithin(int64_t decode_bytes, const HandlerContext& context,
                                const HttpRequest& request, BodyFormat format,
                                const TableInfo& table, const WriteRequest& write) {
  decode_bytes = std::min(decode_bytes, api::kPieceBytesMax);
  std::optional<api::DecodeBudget::Share> share;
  if (context.decode_budget != nullptr) share.emplace(context.decode_budget, decode_bytes);
  api::StageClock clock(context.stages);
  ARROW_ASSIGN_OR_RAISE(auto body,
                        api::OpenWriteBody(request.body, format, table.schema, decode_bytes));
  TimedRows rows(std::move(body), clock.Elapsed());
  ARROW_ASSIGN_OR_RAISE(const WriteResult result, context.engine->Write(write, &rows));
  clock.End(api::Stage::kWriteCommit, api::Stage::kWriteParse, rows.took());
  return result;
}

}  // namespace

Result<HttpResponse> HandleFetch(const HandlerContext& context, const HttpRequest& request) {
  api::StageClock clock(context.stages);
  ARROW_ASSIGN_OR_RAISE(KeysRequest keys, ParseKeys(context, request, api::KeysBody::kFetch));
  if (!keys.columns.has_value() && !keys.all_columns) {
    return InvalidArgument(
        "schema metadata 'columns' is missing; it is a JSON list of names, or *");
  }
  ReadRequest read;
  read.table = request.path_args[0];
  read.keys = std::move(keys.keys);
  read.columns = std::move(keys.columns);
  read.hits_only = !keys.dense;
  clock.End(api::Stage::kParse);
  ARROW_ASSIGN_OR_RAISE(const ReadResult rows, context.engine->Read(read));
  clock.End(api::Stage::kRead);
  ARROW_ASSIGN_OR_RAISE(HttpResponse response, RenderRows(rows, request.accept));
  clock.End(api::Stage::kRender);
  response.headers.emplace_back(kVersionHeader, std::to_string(rows.version));
  return response;
}

Result<HttpResponse> HandleScan(const HandlerContext& context, const HttpRequest& request) {
  ARROW_ASSIGN_OR_RAISE(ScanRequest scan, ParseScan(request));
  const bool arrow = Accepts(request.accept, kArrowType);
  if (!arrow) scan.limit_rows = scan.limit_rows < 0 ? kJsonRows : scan.limit_rows;
  if (!arrow && scan.limit_rows > kJsonRowsMax) {
    return InvalidArgument("as JSON at most " + std::to_string(kJsonRowsMax) +
                           " rows; ask for more with Accept: " + std::string(kArrowType));
  }
  ARROW_ASSIGN_OR_RAISE(auto rows, context.engine->Scan(scan));
  if (arrow) {
    HttpResponse response;
    response.content_type = kArrowType;
    response.next_piece = [pieces = std::make_shared<api::IpcStreamPieces>(std::move(rows))] {
      return pieces->Next();
    };
    return response;
  }
  ARROW_ASSIGN_OR_RAISE(auto table, rows->ToTable());
  ARROW_ASSIGN_OR_RAISE(auto batch, table->CombineChunksToBatch());
  ARROW_ASSIGN_OR_RAISE(std::string text, api::RenderJsonColumns(*batch, nullptr));
  return JsonResponse(200, std::move(text));
}

Result<HttpResponse> HandleWrite(const HandlerContext& context, const HttpRequest& request) {
  WriteRequest write = api::WriteTo(request.path_args[0]);
  ARROW_RETURN_NOT_OK(ParseWriteQuery(request.query, &write));
  ARROW_ASSIGN_OR_RAISE(const BodyFormat format, FormatOf(request));
  if (format == BodyFormat::kJson && request.body.size_bytes > context.options.json_bytes_max) {
    return TooLarge("a JSON body may have " + api::FormatBytes(context.options.json_bytes_max) +
                    "; send Arrow or Parquet for more");
  }
  if (context.cancelled != nullptr) {
    write.on_progress = [cancelled = context.cancelled](int64_t) {
      return cancelled->load() ? Unavailable("the server is shutting down; nothing was written")
                               : Status::OK();
    };
  }
  ARROW_ASSIGN_OR_RAISE(const TableInfo table, context.engine->GetTable(write.table));
  // Few bodies unfold to more than this; one that does is tried once more with all there is.
  const int64_t likely_bytes = std::max(kUnfoldedBytesMin, 16 * request.body.size_bytes);
  auto result = WriteWithin(likely_bytes, context, request, format, table, write);
  if (!result.ok() && CodeOf(result.status()) == ErrorCode::kTooLarge &&
      likely_bytes < api::kPieceBytesMax) {
    result = WriteWithin(api::kPieceBytesMax, context, request, format, table, write);
  }
  ARROW_RETURN_NOT_OK(result);
  return Written(*result);
}

Result<HttpResponse> HandleDelete(const HandlerContext& context, const HttpRequest& request) {
  api::StageClock clock(context.stages);
  ARROW_ASSIGN_OR_RAISE(KeysRequest keys, ParseKeys(context, request, api::KeysBody::kDelete));
  DeleteRequest remove;
  remove.table = request.path_args[0];
  remove.keys = std::move(keys.keys);
  remove.event_time_us = keys.event_time_us;
  clock.End(api::Stage::kWriteParse);
  ARROW_ASSIGN_OR_RAISE(const WriteResult result, context.engine->Delete(remove));
  clock.End(api::Stage::kWriteCommit);
  return Written(result);
}

}  // namespace fletching::http
