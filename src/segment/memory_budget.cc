#include "segment/memory_budget.h"

#include <algorithm>

#include "base/metric_names.h"
#include "base/metrics.h"
#include "segment/segment_reader.h"

namespace fletching::segment {
namespace {

// A cache of another size begins empty, so its size moves in steps of this part of the budget.
constexpr int64_t kStepsPerBudget = 16;
// Buffers of reads under way take at most this part of the budget, or one ring.
constexpr int64_t kBudgetPerRings = 16;

int RingCountMax(int64_t budget_bytes) {
  return static_cast<int>(
      std::clamp<int64_t>(budget_bytes / kBudgetPerRings / io::PieceReader::kRingBytes, 1, 8));
}

}  // namespace

MemoryBudget::MemoryBudget(int64_t budget_bytes, int64_t write_bytes, Metrics* metrics,
                           bool allow_uring)
    : kept_bytes_(write_bytes + budget_bytes / kBudgetPerRings),
      pieces_(RingCountMax(budget_bytes), allow_uring),
      cached_rows_(metrics == nullptr ? nullptr : metrics->Get(metric::kBudgetRows, {"memory"})),
      read_rows_(metrics == nullptr ? nullptr : metrics->Get(metric::kBudgetRows, {"disk"})),
      row_cache_(std::make_shared<RowCache>(0)) {
  usage_.budget_bytes = budget_bytes;
}

MemoryBudget::~MemoryBudget() = default;

uint32_t MemoryBudget::Add(const SegmentReader* segment) {
  const std::lock_guard lock(mutex_);
  segments_.push_back(segment);
  Balance();
  return next_id_++;
}

void MemoryBudget::Remove(const SegmentReader* segment) {
  const std::lock_guard lock(mutex_);
  std::erase(segments_, segment);
  Balance();
}

std::shared_ptr<RowCache> MemoryBudget::row_cache() const {
  const std::lock_guard lock(mutex_);
  return row_cache_;
}

MemoryUsage MemoryBudget::usage() const {
  const std::lock_guard lock(mutex_);
  return usage_;
}

void MemoryBudget::CountRows(int64_t cached, int64_t read) {
  if (cached_rows_ == nullptr) return;
  cached_rows_->Add(cached);
  read_rows_->Add(read);
}

void MemoryBudget::Balance() {
  std::sort(segments_.begin(), segments_.end(), [](const auto* a, const auto* b) {
    return a->footer().row_bytes < b->footer().row_bytes;
  });
  MemoryUsage now{.budget_bytes = usage_.budget_bytes};
  const auto row_bytes_of = [](const SegmentReader* segment) {
    return static_cast<int64_t>(segment->footer().row_bytes);
  };
  int64_t all_row_bytes = 0;
  for (const SegmentReader* segment : segments_) {
    now.index_bytes += static_cast<int64_t>(segment->file_bytes()) - row_bytes_of(segment);
    all_row_bytes += row_bytes_of(segment);
  }
  const int64_t room = std::max<int64_t>(now.budget_bytes - kept_bytes_ - now.index_bytes, 0);
  const int64_t mapped_max = all_row_bytes <= room ? room : room / 2;
  for (const SegmentReader* segment : segments_) {
    const bool is_cold = now.mapped_row_bytes + row_bytes_of(segment) > mapped_max;
    (is_cold ? now.cold_row_bytes : now.mapped_row_bytes) += row_bytes_of(segment);
    segment->SetCold(is_cold);
  }
  if (now.cold_row_bytes > 0) {
    const int64_t step = std::max<int64_t>(now.budget_bytes / kStepsPerBudget, 1);
    now.row_cache_bytes = (room - now.mapped_row_bytes) / step * step;
  }
  if (now.row_cache_bytes != usage_.row_cache_bytes) {
    row_cache_ = std::make_shared<RowCache>(static_cast<uint64_t>(now.row_cache_bytes));
  }
  usage_ = now;
}

}  // namespace fletching::segment
