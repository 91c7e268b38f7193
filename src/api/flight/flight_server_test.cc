// The whole door in one process, over real sockets, so that the sanitizers see its threads at work.
// What a client of another make sees is tested in tests/e2e.
#include "api/flight/flight_server.h"

#include <atomic>
#include <stdlib.h>
#include <string>
#include <thread>
#include <vector>

#include "arrow/array.h"
#include "arrow/builder.h"
#include "arrow/flight/client.h"
#include "arrow/record_batch.h"
#include "arrow/table.h"
#include "arrow/type.h"
#include "arrow/util/key_value_metadata.h"
#include <gtest/gtest.h>

#include "fletching/engine.h"
#include "fletching/options.h"

#include "api/flight/stream_guard.h"
#include "base/bytes.h"

namespace fletching::flight {
namespace {

namespace af = arrow::flight;

std::shared_ptr<arrow::Array> Texts(const std::vector<std::string>& values) {
  arrow::StringBuilder builder;
  EXPECT_TRUE(builder.AppendValues(values).ok());
  return *builder.Finish();
}

std::shared_ptr<arrow::Array> Numbers(const std::vector<int64_t>& values) {
  arrow::Int64Builder builder;
  EXPECT_TRUE(builder.AppendValues(values).ok());
  return *builder.Finish();
}

class FlightServerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string folder = testing::TempDir() + "/flightXXXXXX";
    EngineOptions options;
    options.data_dir = mkdtemp(folder.data());
    engine_ = *Engine::Open(options);
    TableSchema schema;
    schema.columns = {{.name = "id", .type = arrow::utf8(), .nullable = false},
                      {.name = "n", .type = arrow::int64()}};
    schema.key = {"id"};
    ASSERT_TRUE(engine_->CreateTable("t", schema).ok());
    FlightServerOptions door;
    door.port = 0;
    door.calls_max = 64;
    door.on_call = [this](const CallEvent& event) {
      calls_ += 1;
      failures_ += event.failed ? 1 : 0;
    };
    auto server = FlightServer::Start(engine_.get(), door);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    client_ = Connect();
    ASSERT_TRUE(Put({"a", "b"}, {1, 2}).ok());
  }

  std::unique_ptr<af::FlightClient> Connect() const {
    return *af::FlightClient::Connect(*af::Location::Parse("grpc://" + server_->address()));
  }

  static std::shared_ptr<arrow::RecordBatch> Rows(const std::vector<std::string>& ids,
                                                  const std::vector<int64_t>& numbers) {
    return arrow::RecordBatch::Make(
        arrow::schema({arrow::field("id", arrow::utf8()), arrow::field("n", arrow::int64())}),
        static_cast<int64_t>(ids.size()), {Texts(ids), Numbers(numbers)});
  }

  Status Put(const std::vector<std::string>& ids, const std::vector<int64_t>& numbers) {
    const auto rows = Rows(ids, numbers);
    ARROW_ASSIGN_OR_RAISE(auto put,
                          client_->DoPut(af::FlightDescriptor::Path({"t"}), rows->schema()));
    ARROW_RETURN_NOT_OK(put.writer->WriteRecordBatch(*rows));
    ARROW_RETURN_NOT_OK(put.writer->DoneWriting());
    std::shared_ptr<arrow::Buffer> answer;
    ARROW_RETURN_NOT_OK(put.reader->ReadMetadata(&answer));
    return put.writer->Close();
  }

  static Result<std::shared_ptr<arrow::Table>> Get(af::FlightClient* client,
                                                   const std::string& ticket) {
    ARROW_ASSIGN_OR_RAISE(auto reader, client->DoGet(af::Ticket{ticket}));
    return reader->ToTable();
  }

  std::unique_ptr<Engine> engine_;
  std::unique_ptr<FlightServer> server_;
  std::unique_ptr<af::FlightClient> client_;
  std::atomic<int64_t> calls_ = 0;
  std::atomic<int64_t> failures_ = 0;
};

TEST_F(FlightServerTest, AnswersTickets) {
  const auto dense = Get(client_.get(), R"({"table": "t", "keys": ["b", "x"], "columns": ["n"]})");
  ASSERT_TRUE(dense.ok()) << dense.status();
  ASSERT_TRUE((*dense)->ValidateFull().ok());
  EXPECT_EQ((*dense)->num_rows(), 2);
  EXPECT_EQ((*dense)->column(0)->null_count(), 1);
  const auto sparse =
      Get(client_.get(), R"({"table": "t", "keys": {"id": ["x", "b"]}, "columns": ["n"]})");
  ASSERT_TRUE(sparse.ok()) << sparse.status();
  EXPECT_EQ((*sparse)->schema()->field(0)->name(), "_idx");
  EXPECT_EQ((*sparse)->num_rows(), 1);
}

TEST_F(FlightServerTest, TellsErrorsInFlightsWords) {
  const auto missing = Get(client_.get(), R"({"table": "u", "keys": ["b"], "columns": []})");
  EXPECT_TRUE(missing.status().IsKeyError()) << missing.status();
  EXPECT_TRUE(Get(client_.get(), "{").status().IsInvalid());
  std::vector<af::ActionType> actions;
  EXPECT_TRUE(client_->ListActions().status().IsNotImplemented());
  EXPECT_EQ(failures_, 0) << "a client's mistake is no failure of ours";
}

TEST_F(FlightServerTest, ServesReadersExchangesAndWritersAtOnce) {
  constexpr int kThreads = 8;
  constexpr int kTurns = 40;
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      const auto client = Connect();
      const auto schema =
          arrow::schema({arrow::field("id", arrow::utf8())},
                        arrow::key_value_metadata({"columns", "answer"}, {"*", "hits"}));
      auto exchange = *client->DoExchange(af::FlightDescriptor::Path({"t"}));
      ASSERT_TRUE(exchange.writer->Begin(schema).ok());
      const auto keys = arrow::RecordBatch::Make(schema, 2, {Texts({"no", "a"})});
      for (int turn = 0; turn < kTurns; ++turn) {
        ASSERT_TRUE(exchange.writer->WriteRecordBatch(*keys).ok());
        const auto chunk = exchange.reader->Next();
        ASSERT_TRUE(chunk.ok()) << chunk.status();
        ASSERT_TRUE(chunk->data->ValidateFull().ok());
        good += chunk->data->num_rows() == 1 &&
                LoadAs<uint64_t>(chunk->app_metadata->data()) == static_cast<uint64_t>(turn);
        good += Get(client.get(), R"({"table": "t", "keys": ["a"], "columns": ["n"]})").ok();
        if (thread == 0) good += Put({"a"}, {turn}).ok();
      }
      ASSERT_TRUE(exchange.writer->DoneWriting().ok());
      ASSERT_TRUE(exchange.writer->Close().ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, kThreads * kTurns * 2 + kTurns);
  EXPECT_EQ(failures_, 0);
}

TEST_F(FlightServerTest, StopsAtOnceWhenExchangesAreIdle) {
  auto exchange = *client_->DoExchange(af::FlightDescriptor::Path({"t"}));
  const auto schema = arrow::schema({arrow::field("id", arrow::utf8())},
                                    arrow::key_value_metadata({"columns"}, {"*"}));
  ASSERT_TRUE(exchange.writer->Begin(schema).ok());
  ASSERT_TRUE(exchange.reader->GetSchema().ok());  // so it has begun
  EXPECT_TRUE(server_->Stop(60'000));
  EXPECT_TRUE(server_->Stop(60'000)) << "the second time does nothing";
  EXPECT_FALSE(client_->GetSchema(af::FlightDescriptor::Path({"t"})).ok());
  (void)exchange.writer->Close();
}

TEST_F(FlightServerTest, CutsWhatDoesNotEnd) {
  const auto rows = Rows({"late"}, {1});
  auto put = *client_->DoPut(af::FlightDescriptor::Path({"t"}), rows->schema());
  ASSERT_TRUE(put.writer->WriteRecordBatch(*rows).ok());
  while (server_->call_count() == 0) std::this_thread::yield();
  server_->Stop(50);
  EXPECT_FALSE(put.writer->Close().ok());
  EXPECT_EQ(engine_->GetTable("t")->version, 1u);
}

TEST_F(FlightServerTest, DecodesStreamsWithinLimits) {
  EXPECT_TRUE(StreamGuardIsLinked());
  arrow::FieldVector fields;
  for (int at = 0; at < 10'001; ++at) {
    fields.push_back(arrow::field("c" + std::to_string(at), arrow::int8()));
  }
  auto put = client_->DoPut(af::FlightDescriptor::Path({"t"}), arrow::schema(fields));
  const Status status = put.ok() ? put->writer->Close() : put.status();
  EXPECT_TRUE(status.IsInvalid()) << status;
  EXPECT_NE(status.message().find("10000 columns"), std::string::npos) << status;
}

}  // namespace
}  // namespace fletching::flight
