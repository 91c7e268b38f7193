#include "store/chunk_writer.h"

namespace fletching::store {
namespace {

constexpr size_t kThreads = 2;
constexpr size_t kWaitingMax = 4;  // chunks, beside those being received

}  // namespace

ChunkWriter::ChunkWriter(PartialFile* file) : file_(file) {
  for (size_t i = 0; i < kThreads && i < file->chunk_count(); ++i) {
    threads_.emplace_back([this] { Run(); });
  }
}

ChunkWriter::~ChunkWriter() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ChunkWriter::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return is_over_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    auto [index, bytes] = std::move(waiting_.front());
    waiting_.pop_front();
    if (!status_.ok()) continue;
    ++writing_;
    lock.unlock();
    const Status written = file_->WriteChunk(index, bytes);
    bytes = {};
    lock.lock();
    --writing_;
    if (status_.ok()) status_ = written;
    changed_.notify_all();
  }
}

Status ChunkWriter::Add(uint64_t index, std::vector<uint8_t> bytes) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return waiting_.size() < kWaitingMax || !status_.ok(); });
  ARROW_RETURN_NOT_OK(status_);
  waiting_.emplace_back(index, std::move(bytes));
  changed_.notify_all();
  return Status::OK();
}

Status ChunkWriter::Finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return (waiting_.empty() && writing_ == 0) || !status_.ok(); });
  return status_;
}

}  // namespace fletching::store
