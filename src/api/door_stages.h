// How long the stages of docs/architecture.md take at one door. Each door has one DoorStages, and a
// StageClock for each request:
//
//   api::StageClock clock(context.stages);
//   ...parse...   clock.End(api::Stage::kParse);
//   ...read...    clock.End(api::Stage::kRead);
//   ...render...  clock.End(api::Stage::kRender);
//
// A request that fails ends no further stage, so the figures are those of good requests.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/metric_names.h"

namespace fletching::api {

enum class Stage : uint8_t {
  kParse,        // body -> keys
  kRead,         // keys -> batch: pin, locate, gather, assemble
  kRender,       // batch -> bytes of the answer
  kWriteParse,   // body -> batches
  kWriteCommit,  // batches -> durable and visible: check, seal, commit, publish
};
inline constexpr std::array<std::string_view, 5> kStageNames = {"parse", "read", "render",
                                                                "write_parse", "write_commit"};

// Threads: any.
class DoorStages {
 public:
  // door: "http", "flight". Lifetime: the cells are held.
  DoorStages(Metrics* metrics, std::string_view door) {
    for (size_t i = 0; i < cells_.size(); ++i) {
      cells_[i] = metrics->Get(metric::kStageDuration, {door, kStageNames[i]});
    }
  }
  void Observe(Stage stage, std::chrono::nanoseconds took) const {
    cells_[static_cast<size_t>(stage)]->Observe(took);
  }

 private:
  std::array<std::shared_ptr<DurationHistogram>, kStageNames.size()> cells_;
};

// Of one request; reads the clock once a stage.
class StageClock {
 public:
  using Clock = std::chrono::steady_clock;

  // stages: null = nothing is timed. Lifetime: longer than this.
  explicit StageClock(const DoorStages* stages)
      : stages_(stages), since_(stages != nullptr ? Clock::now() : Clock::time_point()) {}

  std::chrono::nanoseconds Elapsed() const {
    return stages_ != nullptr ? Clock::now() - since_ : Clock::duration(0);
  }
  // The stage that went on since the last one ended, or since the beginning.
  void End(Stage stage) {
    if (stages_ == nullptr) return;
    const Clock::time_point now = Clock::now();
    stages_->Observe(stage, now - since_);
    since_ = now;
  }
  // The same, when a part of that time was another stage's.
  void End(Stage stage, Stage part, std::chrono::nanoseconds part_took) {
    if (stages_ == nullptr) return;
    const Clock::time_point now = Clock::now();
    stages_->Observe(part, part_took);
    stages_->Observe(stage, now - since_ - part_took);
    since_ = now;
  }

 private:
  const DoorStages* const stages_;
  Clock::time_point since_;
};

}  // namespace fletching::api
