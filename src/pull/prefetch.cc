#include "pull/prefetch.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "fletching/status.h"

namespace fletching::pull {
namespace {

class PrefetchReader final : public arrow::RecordBatchReader {
 public:
  PrefetchReader(std::shared_ptr<arrow::RecordBatchReader> source, int batches_ahead)
      : source_(std::move(source)),
        schema_(source_->schema()),
        ahead_max_(static_cast<size_t>(batches_ahead)),
        thread_([this] { Work(); }) {}

  ~PrefetchReader() override {
    {
      const std::lock_guard lock(mutex_);
      is_stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    *out = nullptr;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !ready_.empty() || is_done_; });
    if (ready_.empty()) return end_;
    *out = std::move(ready_.front());
    ready_.pop_front();
    changed_.notify_all();
    return Status::OK();
  }

 private:
  void Work() {
    while (true) {
      std::shared_ptr<arrow::RecordBatch> batch;
      const Status status = source_->ReadNext(&batch);
      std::unique_lock lock(mutex_);
      if (!status.ok() || batch == nullptr) {
        end_ = status;
        is_done_ = true;
        changed_.notify_all();
        return;
      }
      ready_.push_back(std::move(batch));
      changed_.notify_all();
      changed_.wait(lock, [&] { return ready_.size() < ahead_max_ || is_stopping_; });
      if (is_stopping_) return;
    }
  }

  const std::shared_ptr<arrow::RecordBatchReader> source_;
  const std::shared_ptr<arrow::Schema> schema_;
  const size_t ahead_max_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<arrow::RecordBatch>> ready_;
  bool is_done_ = false;
  bool is_stopping_ = false;
  Status end_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace

std::shared_ptr<arrow::RecordBatchReader> Prefetch(std::shared_ptr<arrow::RecordBatchReader> source,
                                                   int batches_ahead) {
  return std::make_shared<PrefetchReader>(std::move(source), batches_ahead);
}

}  // namespace fletching::pull
