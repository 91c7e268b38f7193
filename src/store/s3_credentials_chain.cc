// The chain of Amazon's SDK, as libarrow_s3 carries it. Declared in s3_credentials.h.
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <utility>

#include "arrow/filesystem/s3fs.h"

#include "base/ignore_error.h"
#include "store/s3_credentials.h"

namespace fletching::store {
namespace {

// The SDK looks at expiry dates and files itself when asked; more often would be waste.
constexpr std::chrono::seconds kAskAgainAfter{30};

void EndSdk() { IgnoreError(arrow::fs::EnsureS3Finalized()); }

// Starts the SDK, which must be ended before the process is.
Status StartSdk() {
  static const Status started = [] {
    const bool was_started = arrow::fs::IsS3Initialized();
    ARROW_RETURN_NOT_OK(arrow::fs::EnsureS3Initialized());
    if (!was_started) std::atexit(EndSdk);
    return Status::OK();
  }();
  return started;
}

class SdkChain final : public CredentialSource {
 public:
  Result<Credentials> Get() override {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (!credentials_.access_key.empty() && now - asked_at_ < kAskAgainAfter) return credentials_;
    const Status started = StartSdk();
    if (!started.ok()) return Unavailable("cannot look for S3 credentials: " + started.message());
    if (!options_) options_ = arrow::fs::S3Options::Defaults();
    // Three calls, between which the SDK may have renewed them.
    Credentials found;
    do {
      found = {options_->GetAccessKey(), options_->GetSecretKey(), options_->GetSessionToken()};
    } while (found.access_key != options_->GetAccessKey());
    if (found.access_key.empty()) {
      return Unavailable(
          "no S3 credentials found: not in the settings, not in AWS_ACCESS_KEY_ID and "
          "AWS_SECRET_ACCESS_KEY, not by AWS_PROFILE and the files of ~/.aws, nor by web identity, "
          "container or instance; set one of these, or `anonymous` for a public bucket");
    }
    credentials_ = std::move(found);
    asked_at_ = now;
    return credentials_;
  }

  bool Renew() override {
    const std::lock_guard lock(mutex_);
    credentials_ = {};
    return true;
  }

 private:
  std::mutex mutex_;
  std::optional<arrow::fs::S3Options> options_;
  Credentials credentials_;
  std::chrono::steady_clock::time_point asked_at_;
};

}  // namespace

std::shared_ptr<CredentialSource> ChainCredentials() { return std::make_shared<SdkChain>(); }

}  // namespace fletching::store
