// One look at the source of one table, and the load if there is something new.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "fletching/fwd.h"

#include "pull/offer.h"
#include "pull/puller.h"

namespace fletching::pull {

// Threads: Look is called by one at a time; status by any.
class TableLoader {
 public:
  TableLoader(Engine* engine, PulledTable table, PullerOptions options,
              const std::atomic<bool>* is_stopping);

  // Errors are noted in the status and told in an event; the table keeps what it has.
  void Look();
  PullStatus status() const;
  const PulledTable& table() const { return table_; }

 private:
  Status LookOnce();
  Status Load(const Offer& offer);
  bool IsWanted(const Offer& offer, std::string* why_not) const;
  Status GoOn() const;
  void Note(const Status& status);
  void Tell(PullEvent::Kind kind, const std::string& generation, int64_t rows, int64_t millis,
            std::string text = {}, std::string reason = {}) const;

  Engine* const engine_;
  const PulledTable table_;
  const PullerOptions options_;
  const std::atomic<bool>* const is_stopping_;
  std::string refused_;  // generation whose own contents were at fault; not tried again
  Status refusal_;
  std::string told_;       // what was last said about a partition that is not loaded
  std::string attempted_;  // generation of the look under way

  mutable std::mutex mutex_;
  PullStatus status_;
};

}  // namespace fletching::pull
