// What each Flight call does: parse, call the engine, send.
//
//   ListFlights, GetFlightInfo, GetSchema   the tables and their schemas
//   DoGet        a ticket of JSON: the rows of keys, one batch
//   DoPut        a stream of batches: one atomic write
//   DoExchange   batches of keys in, batches of columns out, in order
//
// The other calls stay unimplemented.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "fletching/fwd.h"
#include "fletching/request.h"
#include "fletching/status.h"

#include "api/decode_budget.h"
#include "api/flight/flight_server.h"
#include "api/flight/stream_guard.h"

namespace arrow::flight {
class FlightMessageReader;
class FlightMessageWriter;
class FlightServerBase;
class ServerCallContext;
}  // namespace arrow::flight

namespace fletching::flight {

// What all calls share. Lifetime: longer than the service.
struct ServiceState {
  Engine* engine = nullptr;
  FlightServerOptions options;
  // Enough for three of the largest batches and dozens of small ones.
  api::DecodeBudget decode_budget{int64_t{1} << 30};
  StreamLimits stream_limits;
  std::atomic<bool> stopping = false;   // exchanges end after the answer they are at
  std::atomic<bool> cancelled = false;  // long writes give up
  std::atomic<int64_t> calls = 0;
  std::atomic<int64_t> waiting = 0;  // of these, exchanges that wait for their client
};

std::unique_ptr<arrow::flight::FlightServerBase> MakeService(ServiceState* state);

// Ours as Flight knows it: the code that api/error_map names.
Status ToFlightStatus(const Status& status);

// What came out of an incoming stream instead of a batch: our own words, or the client's mistake.
Status StreamError(const Status& status, const arrow::flight::ServerCallContext& context);

// exchange.cc. `row_count`: rows answered so far, also when it fails.
Status RunExchange(ServiceState* state, const arrow::flight::ServerCallContext& context,
                   const std::string& table, arrow::flight::FlightMessageReader* keys,
                   arrow::flight::FlightMessageWriter* answers, int64_t* row_count);

}  // namespace fletching::flight
