// Time to the last byte of Arrow Flight, in C++: DoGet by a ticket, or look-ups on one DoExchange.
//
// Requests are built beforehand: tickets, or batches of keys. Every answer is compared with the one
// that is due, outside of the timed part. Exchanges file: requests (a ticket's bytes, or an Arrow
// stream of one batch of keys) and the answers (Arrow streams of one batch).
#include <arrow/api.h>
#include <arrow/flight/client.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>

#include "exchanges.h"

namespace {

namespace af = arrow::flight;
using yardstick::Fail;

void Must(const arrow::Status& status) {
  if (!status.ok()) Fail(status.ToString());
}
template <typename T>
T Must(arrow::Result<T> result) {
  Must(result.status());
  return *std::move(result);
}

std::shared_ptr<arrow::RecordBatch> ReadBatch(const std::string& stream) {
  const auto bytes = std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(stream));
  return Must(Must(arrow::ipc::RecordBatchStreamReader::Open(bytes))->Next());
}

struct Case {
  af::Ticket ticket;
  std::shared_ptr<arrow::RecordBatch> keys, due;
};

std::vector<Case> ReadCases(const std::string& path, bool is_get) {
  std::vector<Case> cases;
  for (const rivals::Exchange& exchange : rivals::ReadExchanges(path)) {
    Case one;
    if (is_get) {
      one.ticket.ticket = exchange.request;
    } else {
      one.keys = ReadBatch(exchange.request);
    }
    one.due = ReadBatch(exchange.reply);
    cases.push_back(std::move(one));
  }
  if (cases.empty()) Fail("--exchanges is needed and must hold some");
  return cases;
}

}  // namespace

int main(int argc, char** argv) {
  yardstick::Flags flags(argc, argv, {"sleep"});
  const int64_t port = flags.Integer("port", 0, 1, "port of the server's Flight door");
  const std::string call = flags.Text("call", "get", "get or exchange");
  const std::string table = flags.Text("table", "bench", "table of look-ups by exchange");
  const std::string exchanges = flags.Text("exchanges", "", "requests and the answers due");
  const int64_t cpu = flags.Integer("cpu", -1, -1, "stay on this core; -1 = any");
  const rivals::Pace pace = rivals::ParsePace(&flags);
  flags.Done();
  if (call != "get" && call != "exchange") Fail("--call is get or exchange");
  const std::vector<Case> cases = ReadCases(exchanges, call == "get");
  rivals::StayOn(cpu);  // before gRPC makes threads, which stay there too

  const auto location = Must(af::Location::ForGrpcTcp("127.0.0.1", static_cast<int>(port)));
  const auto client = Must(af::FlightClient::Connect(location));
  std::shared_ptr<arrow::RecordBatch> answer;
  const auto check = [&](size_t which) {
    if (answer == nullptr || !answer->Equals(*cases[which].due)) {
      Fail("wrong answer to request " + std::to_string(which));
    }
  };
  if (call == "get") {
    const auto get = [&](size_t which) {
      const auto reader = Must(client->DoGet(cases[which].ticket));
      answer = Must(reader->Next()).data;
      if (Must(reader->Next()).data != nullptr) Fail("wrong answer: a second batch");
    };
    rivals::RunAndPrint(pace, cases.size(), get, check);
    return 0;
  }
  auto stream = Must(client->DoExchange(af::FlightDescriptor::Path({table})));
  Must(stream.writer->Begin(cases[0].keys->schema()));
  const auto ask = [&](size_t which) {
    Must(stream.writer->WriteRecordBatch(*cases[which].keys));
    answer = Must(stream.reader->Next()).data;
  };
  rivals::RunAndPrint(pace, cases.size(), ask, check);
  Must(stream.writer->Close());
}
