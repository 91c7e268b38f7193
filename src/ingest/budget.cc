#include "ingest/budget.h"

#include <atomic>
#include <iterator>

#include "arrow/memory_pool.h"

namespace fletching::ingest {

// Deletes itself with the last of its references: one for the Budget, one for each allocation.
class Budget::Pool final : public arrow::MemoryPool {
 public:
  explicit Pool(int64_t limit_bytes)
      : parent_(arrow::default_memory_pool()), limit_bytes_(limit_bytes) {}

  using arrow::MemoryPool::Allocate;
  using arrow::MemoryPool::Free;
  using arrow::MemoryPool::Reallocate;

  Status Allocate(int64_t size, int64_t alignment, uint8_t** out) override {
    ARROW_RETURN_NOT_OK(Charge(size));
    if (Status status = parent_->Allocate(size, alignment, out); !status.ok()) {
      held_bytes_.fetch_sub(size);
      return status;
    }
    allocation_count_.fetch_add(1, std::memory_order_relaxed);
    reference_count_.fetch_add(1, std::memory_order_relaxed);
    return Status::OK();
  }

  Status Reallocate(int64_t old_size, int64_t new_size, int64_t alignment,
                    uint8_t** bytes) override {
    ARROW_RETURN_NOT_OK(Charge(new_size - old_size));
    Status status = parent_->Reallocate(old_size, new_size, alignment, bytes);
    if (!status.ok()) held_bytes_.fetch_sub(new_size - old_size);
    return status;
  }

  void Free(uint8_t* bytes, int64_t size, int64_t alignment) override {
    parent_->Free(bytes, size, alignment);
    held_bytes_.fetch_sub(size);
    DropReference();
  }

  void DropReference() {
    if (reference_count_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  int64_t bytes_allocated() const override { return held_bytes_.load(); }
  int64_t max_memory() const override { return peak_bytes_.load(); }
  int64_t total_bytes_allocated() const override { return total_bytes_.load(); }
  int64_t num_allocations() const override { return allocation_count_.load(); }
  std::string backend_name() const override { return parent_->backend_name(); }
  int64_t limit_bytes() const { return limit_bytes_; }
  int64_t refused_bytes() const { return refused_bytes_.load(); }
  void ForgetRefusal() { refused_bytes_ = 0; }

 private:
  ~Pool() override = default;

  // Takes the bytes first and gives them back when they were too many, so that two threads
  // together cannot pass the limit either.
  Status Charge(int64_t bytes) {
    const int64_t before = held_bytes_.fetch_add(bytes);
    if (bytes <= 0) return Status::OK();
    // This way round because before + bytes overflows on a made-up size.
    if (bytes > limit_bytes_ - before) {
      held_bytes_.fetch_sub(bytes);
      int64_t none = 0;
      refused_bytes_.compare_exchange_strong(none, bytes);
      return Status::OutOfMemory("decoding takes more than ", ByteText(limit_bytes_));
    }
    total_bytes_.fetch_add(bytes, std::memory_order_relaxed);
    int64_t peak = peak_bytes_.load();
    while (before + bytes > peak && !peak_bytes_.compare_exchange_weak(peak, before + bytes)) {
    }
    return Status::OK();
  }

  arrow::MemoryPool* const parent_;
  const int64_t limit_bytes_;
  std::atomic<int64_t> reference_count_{1};
  std::atomic<int64_t> held_bytes_{0};
  std::atomic<int64_t> peak_bytes_{0};
  std::atomic<int64_t> total_bytes_{0};
  std::atomic<int64_t> allocation_count_{0};
  std::atomic<int64_t> refused_bytes_{0};
};

Budget::Budget(int64_t limit_bytes) : pool_(new Pool(limit_bytes)) {}
Budget::~Budget() { pool_->DropReference(); }
arrow::MemoryPool* Budget::pool() const { return pool_; }
int64_t Budget::limit_bytes() const { return pool_->limit_bytes(); }
int64_t Budget::held_bytes() const { return pool_->bytes_allocated(); }
int64_t Budget::refused_bytes() const { return pool_->refused_bytes(); }
void Budget::ForgetRefusal() { pool_->ForgetRefusal(); }

std::string ByteText(int64_t bytes) {
  constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  size_t unit = 0;
  while ((bytes >= 1024 && bytes % 1024 == 0) || bytes >= 10 * 1024) {
    bytes /= 1024;
    ++unit;
  }
  static_assert(std::size(kUnits) == 7);  // an int64 has at most six halvings by 1024
  return std::to_string(bytes) + " " + kUnits[unit];
}

Status BodyError(std::string_view body_kind, const Status& status, const Budget& budget) {
  const std::string kind(body_kind);
  if (budget.refused_bytes() > 0) {
    return TooLarge(kind + ": decoding one piece of it takes more than " +
                    ByteText(budget.limit_bytes()) + " of memory (the next step asks for " +
                    ByteText(budget.refused_bytes()) +
                    "); send smaller record batches or row groups");
  }
  // A detail is one of our codes, or the errno of a failed system call.
  if (status.detail() != nullptr) {
    const bool labelled = status.message().starts_with(kind);
    return labelled ? status : MakeError(CodeOf(status), kind + ": " + status.message());
  }
  if (CodeOf(status) == ErrorCode::kTooLarge) return TooLarge(kind + ": " + status.message());
  return InvalidArgument(kind + ": " + status.message());
}

}  // namespace fletching::ingest
