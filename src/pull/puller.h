// Tables that load themselves: a thread each looks at its source from time to time, and puts what
// is new in the place of what there is. Journey: discover -> fetch -> seal -> publish.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fletching/fwd.h"
#include "fletching/status.h"

#include "pull/pulled_table.h"

namespace fletching::pull {

inline constexpr std::array<std::string_view, 5> kFailureReasons = {"source", "schema", "data",
                                                                    "shrunk", "storage"};

struct PullEvent {
  enum class Kind : uint8_t { kLoading, kProgress, kLoaded, kKept, kFailed };
  Kind kind;
  std::string table;
  std::string generation;  // may be empty: nothing was found
  int64_t row_count = 0;
  int64_t millis = 0;
  std::string text;    // why it was kept, or what failed
  std::string reason;  // of a failure: one of kFailureReasons
};

struct PullStatus {
  std::string table;
  std::string generation;  // shown now; empty = none yet
  std::string problem;     // of the last look or load; empty = none
};

struct PullerOptions {
  std::string spool_folder;  // what is fetched waits here for its decoding
  std::function<void(const PullEvent& event)> on_event;  // any thread; may be empty
};

// Threads: any. Lifetime: the engine outlives it.
class Puller {
 public:
  // Looks at every source at once, in the background. Errors: kInvalidArgument.
  static Result<std::unique_ptr<Puller>> Start(Engine* engine, std::vector<PulledTable> tables,
                                               PullerOptions options);
  ~Puller();  // ends loads at their next batch

  std::vector<PullStatus> Statuses() const;
  // Whether every table has been loaded once, now or by an earlier process.
  bool IsReady() const;

 private:
  class TableThread;
  Puller() = default;
  std::vector<std::unique_ptr<TableThread>> threads_;
};

}  // namespace fletching::pull
