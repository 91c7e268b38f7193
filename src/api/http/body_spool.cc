#include "api/http/body_spool.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <utility>

#include "arrow/buffer.h"

namespace fletching::http {
namespace {

constexpr int64_t kFirstBytes = 16 * 1024;         // a request of 1,000 keys fits
constexpr int64_t kTrustedBytes = 256 * 1024;      // a claimed length is believed up to here
constexpr int64_t kPieceBytes = int64_t{1} << 20;  // written to the file at a time

Status ErrnoStatus(const std::string& what, int error) {
  std::string text = "cannot spool a body: " + what + ": " + std::strerror(error);
  return error == ENOSPC || error == EDQUOT ? StorageFull(std::move(text))
                                            : Unavailable(std::move(text));
}

}  // namespace

BodySpool::~BodySpool() {
  Charge(-charged_bytes_);
  if (file_ >= 0) close(file_);
}

BodySpool::BodySpool(BodySpool&& other) noexcept : limits_(nullptr) { *this = std::move(other); }

BodySpool& BodySpool::operator=(BodySpool&& other) noexcept {
  std::swap(limits_, other.limits_);
  std::swap(memory_, other.memory_);
  std::swap(pending_bytes_, other.pending_bytes_);
  std::swap(charged_bytes_, other.charged_bytes_);
  std::swap(size_bytes_, other.size_bytes_);
  std::swap(file_, other.file_);
  std::swap(to_file_, other.to_file_);
  return *this;
}

void BodySpool::Charge(int64_t bytes) {
  if (bytes == 0 || limits_ == nullptr) return;
  limits_->shared_memory_bytes.fetch_add(bytes, std::memory_order_relaxed);
  charged_bytes_ += bytes;
}

Status BodySpool::Expect(int64_t size_bytes) {
  if (limits_ == nullptr || size_bytes == 0) return Status::OK();
  // Room is given as bytes arrive, not as they are promised: promises cost a client nothing.
  return Grow(std::min(size_bytes, kTrustedBytes));
}

Status BodySpool::Grow(int64_t wanted_bytes) {
  if (memory_ == nullptr) {
    ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(0));
    memory_ = std::move(buffer);
  }
  if (memory_->capacity() >= wanted_bytes) return Status::OK();
  const int64_t before = memory_->capacity();
  ARROW_RETURN_NOT_OK(memory_->Reserve(std::max({wanted_bytes, kFirstBytes, before * 2})));
  Charge(memory_->capacity() - before);
  return Status::OK();
}

Status BodySpool::Append(ByteSpan bytes) {
  const auto count = static_cast<int64_t>(bytes.size());
  size_bytes_ += count;
  if (limits_ == nullptr) return Status::OK();
  ARROW_RETURN_NOT_OK(Grow(pending_bytes_ + count));
  std::memcpy(memory_->mutable_data() + pending_bytes_, bytes.data(), bytes.size());
  pending_bytes_ += count;
  if (to_file_) return Status::OK();
  const bool crowded = pending_bytes_ > kTrustedBytes &&
                       limits_->shared_memory_bytes.load(std::memory_order_relaxed) >
                           limits_->shared_memory_bytes_max;
  to_file_ = crowded || pending_bytes_ > limits_->memory_bytes_max;
  return Status::OK();
}

bool BodySpool::NeedsFlush() const { return to_file_ && pending_bytes_ >= kPieceBytes; }

Status BodySpool::OpenFile() {
  // O_TMPFILE has no name from the start; where a file system lacks it, the name goes at once.
  file_ = open(limits_->folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file_ >= 0) return Status::OK();
  std::string name = limits_->folder + "/.body-XXXXXX";
  file_ = mkostemp(name.data(), O_CLOEXEC);
  if (file_ < 0) return ErrnoStatus(limits_->folder, errno);
  unlink(name.c_str());
  return Status::OK();
}

Status BodySpool::Flush() {
  if (file_ < 0) ARROW_RETURN_NOT_OK(OpenFile());
  const uint8_t* from = memory_->data();
  int64_t left = pending_bytes_;
  while (left > 0) {
    const ssize_t wrote = write(file_, from, static_cast<size_t>(left));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return ErrnoStatus("write", errno);
    from += wrote;
    left -= wrote;
  }
  pending_bytes_ = 0;
  // What was gathered before the file began is not needed any more.
  const int64_t before = memory_->capacity();
  if (before > 2 * kPieceBytes) {
    memory_ = nullptr;
    Charge(-before);
  }
  return Status::OK();
}

Result<api::Body> BodySpool::Finish() {
  api::Body body;
  body.size_bytes = size_bytes_;
  if (limits_ == nullptr) {
    body.size_bytes = 0;
    return body;
  }
  if (!to_file_) {
    if (memory_ != nullptr) {
      ARROW_RETURN_NOT_OK(memory_->Resize(pending_bytes_, false));
      body.memory = memory_;
    }
    return body;
  }
  if (pending_bytes_ > 0) ARROW_RETURN_NOT_OK(Flush());
  const int file = file_;
  file_ = -1;  // now the body's
  return api::Body::FromFile(file, size_bytes_);
}

}  // namespace fletching::http
