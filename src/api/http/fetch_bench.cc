// What a fetch costs between socket and engine, stage by stage: 1,000 keys, 10 float32 columns, in
// every form of keys and of answers. p50 over many turns, in microseconds, and a hash of the
// answer.
//
//   fetch_bench            1 M rows        fetch_bench --smoke    a few thousand, seconds
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <random>
#include <stdlib.h>
#include <string>
#include <vector>

#include "arrow/array.h"
#include "arrow/buffer.h"
#include "arrow/builder.h"
#include "arrow/io/memory.h"
#include "arrow/ipc/writer.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"
#include "arrow/util/key_value_metadata.h"

#include "fletching/engine.h"
#include "fletching/options.h"

#include "api/http/handlers.h"
#include "api/http/request_reader.h"
#include "api/http/response_head.h"
#include "api/http/router.h"
#include "base/check.h"
#include "base/checksum.h"

namespace fletching::http {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kColumns = 10;
constexpr int kKeys = 1'000;

struct Stages {
  std::vector<double> read_http, handle, head;
  uint64_t hash = 0;
};

std::string Key(int64_t number) {
  char text[24];
  snprintf(text, sizeof(text), "user:%09lld", static_cast<long long>(number));
  return text;
}

std::shared_ptr<arrow::Array> KeyArray(const std::vector<int64_t>& numbers) {
  arrow::StringBuilder builder;
  for (const int64_t number : numbers) FLETCHING_CHECK(builder.Append(Key(number)).ok());
  return *builder.Finish();
}

std::unique_ptr<Engine> Load(const std::string& folder, int64_t rows) {
  EngineOptions options;
  options.data_dir = folder;
  auto engine = *Engine::Open(options);
  TableSchema schema;
  schema.key = {"id"};
  schema.columns.push_back({.name = "id", .type = arrow::utf8(), .nullable = false});
  std::vector<std::shared_ptr<arrow::Field>> fields = {arrow::field("id", arrow::utf8())};
  for (int c = 0; c < kColumns; ++c) {
    schema.columns.push_back({.name = "f" + std::to_string(c), .type = arrow::float32()});
    fields.push_back(arrow::field("f" + std::to_string(c), arrow::float32()));
  }
  FLETCHING_CHECK(engine->CreateTable("t", schema).ok());
  arrow::RecordBatchVector batches;
  for (int64_t first = 0; first < rows; first += 65'536) {
    std::vector<int64_t> numbers(static_cast<size_t>(std::min<int64_t>(65'536, rows - first)));
    for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = first + static_cast<int64_t>(i);
    arrow::ArrayVector columns = {KeyArray(numbers)};
    for (int c = 0; c < kColumns; ++c) {
      arrow::FloatBuilder floats;
      for (const int64_t n : numbers)
        FLETCHING_CHECK(floats.Append(static_cast<float>(n + c)).ok());
      columns.push_back(*floats.Finish());
    }
    batches.push_back(arrow::RecordBatch::Make(arrow::schema(fields),
                                               static_cast<int64_t>(numbers.size()), columns));
  }
  auto reader = *arrow::RecordBatchReader::Make(batches);
  FLETCHING_CHECK(engine->Write({.table = "t"}, reader.get()).ok());
  FLETCHING_CHECK(engine->Compact("t").ok());
  return engine;
}

std::string ColumnList() {
  std::string text = "[";
  for (int c = 0; c < kColumns; ++c) text += (c > 0 ? ",\"f" : "\"f") + std::to_string(c) + "\"";
  return text + "]";
}

std::string BodyOf(const std::string& form, const std::vector<int64_t>& numbers) {
  if (form == "arrow") {
    const auto schema = arrow::schema({arrow::field("id", arrow::utf8())},
                                      arrow::key_value_metadata({"columns"}, {ColumnList()}));
    auto sink = *arrow::io::BufferOutputStream::Create();
    auto writer = *arrow::ipc::MakeStreamWriter(sink, schema);
    const auto keys = KeyArray(numbers);
    FLETCHING_CHECK(
        writer->WriteRecordBatch(*arrow::RecordBatch::Make(schema, keys->length(), {keys})).ok());
    FLETCHING_CHECK(writer->Close().ok());
    return (*sink->Finish())->ToString();
  }
  std::string keys;
  for (const int64_t number : numbers) keys += (keys.empty() ? "\"" : ",\"") + Key(number) + "\"";
  const std::string list = form == "list" ? "[" + keys + "]" : "{\"id\":[" + keys + "]}";
  return "{\"keys\":" + list + ",\"columns\":" + ColumnList() + "}";
}

std::string RequestOf(const std::string& form, bool arrow_answer, const std::string& body) {
  std::string text = "POST /api/v1/table/t/fetch HTTP/1.1\r\nHost: localhost\r\nContent-Type: ";
  text += form == "arrow" ? kArrowType : kJsonType;
  if (arrow_answer) text += "\r\nAccept: " + std::string(kArrowType);
  return text + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

double Micros(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::micro>(to - from).count();
}

void RunOne(const HandlerContext& context, const std::string& text, Stages* stages) {
  SpoolLimits limits;
  RequestReader reader;
  const auto start = Clock::now();
  reader.Start(8192);
  size_t used = 0;
  FLETCHING_CHECK(reader.Feed(AsBytes(text), &used) == RequestReader::State::kHead);
  RouteMatch match = FindRoute(reader.head().method, reader.head().path);
  BodySpool spool(&limits);
  FLETCHING_CHECK(spool.Expect(*reader.head().body_bytes).ok());
  reader.TakeBody(std::move(spool), 1 << 20);
  size_t more = 0;
  FLETCHING_CHECK(reader.Feed(AsBytes(text).subspan(used), &more) == RequestReader::State::kDone);
  HttpRequest request;
  request.content_type = reader.head().content_type;
  request.accept = reader.head().accept;
  request.path_args = std::move(match.path_args);
  request.body = *reader.spool().Finish();
  const auto parsed = Clock::now();
  const HttpResponse response = RunHandler(*match.route, context, &request);
  const auto handled = Clock::now();
  std::string head;
  WriteResponseHead(&head, response, {.now_seconds = 1});
  const auto done = Clock::now();
  FLETCHING_CHECK(response.status == 200);
  stages->read_http.push_back(Micros(start, parsed));
  stages->handle.push_back(Micros(parsed, handled));
  stages->head.push_back(Micros(handled, done));
  stages->hash = Checksum(AsBytes(response.body()), stages->hash);
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<int64_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

// The engine alone, for the same keys: what the rest is on top of.
double EngineMedian(const Engine& engine, const std::vector<std::vector<int64_t>>& keys) {
  std::vector<double> took;
  for (const auto& numbers : keys) {
    ReadRequest request{.table = "t", .keys = {KeyArray(numbers)}, .columns = std::nullopt};
    const auto start = Clock::now();
    FLETCHING_CHECK(engine.Read(request).ok());
    took.push_back(Micros(start, Clock::now()));
  }
  return Median(std::move(took));
}

void Run(int64_t rows, int turns) {
  std::string folder = "/tmp/fletching-fetch-bench-XXXXXX";
  FLETCHING_CHECK(mkdtemp(folder.data()) != nullptr);
  const auto engine = Load(folder, rows);
  HandlerContext context;
  context.engine = engine.get();
  std::mt19937_64 random(1);
  std::vector<std::vector<int64_t>> keys(static_cast<size_t>(turns));
  for (auto& numbers : keys) {
    for (int i = 0; i < kKeys; ++i) {
      numbers.push_back(static_cast<int64_t>(random() % static_cast<uint64_t>(rows)));
    }
  }
  printf("%-24s %8.1f us\n", "engine alone", EngineMedian(*engine, keys));
  printf("%-24s %10s %10s %10s\n", "keys -> answer", "read http", "handle", "head");
  for (const std::string form : {"list", "map", "arrow"}) {
    for (const bool arrow_answer : {true, false}) {
      Stages stages;
      for (const auto& numbers : keys) {
        RunOne(context, RequestOf(form, arrow_answer, BodyOf(form, numbers)), &stages);
      }
      const std::string label = form + " -> " + (arrow_answer ? "arrow" : "json");
      printf("%-24s %10.1f %10.1f %10.1f   %016llx\n", label.c_str(), Median(stages.read_http),
             Median(stages.handle), Median(stages.head),
             static_cast<unsigned long long>(stages.hash));
    }
  }
  FLETCHING_CHECK(engine->Close().ok());
  FLETCHING_CHECK(system(("rm -rf " + folder).c_str()) == 0);
}

}  // namespace
}  // namespace fletching::http

int main(int argc, char** argv) {
  const bool smoke = argc > 1 && std::strcmp(argv[1], "--smoke") == 0;
  fletching::http::Run(smoke ? 5'000 : 1'000'000, smoke ? 5 : 2'000);
  return 0;
}
