#include "pull/source.h"

#include <atomic>
#include <cstdlib>
#include <utility>

#include <arrow/filesystem/filesystem.h>
#include <arrow/filesystem/localfs.h>
#include <arrow/filesystem/s3fs.h>

#include "base/ignore_error.h"

namespace fletching::pull {
namespace {

constexpr double kConnectSeconds = 5;
constexpr double kRequestSeconds = 20;  // without a byte
constexpr int kTries = 4;

std::atomic<bool> s3_in_use{false};

std::string WithoutSlashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

Result<Source> OpenS3(const SourceSpec& spec) {
  if (spec.bucket.empty()) return InvalidArgument("an S3 source needs a bucket");
  if (!s3_in_use.exchange(true)) {
    arrow::fs::S3GlobalOptions options = arrow::fs::S3GlobalOptions::Defaults();
    options.log_level = arrow::fs::S3LogLevel::Off;
    ARROW_RETURN_NOT_OK(arrow::fs::InitializeS3(options));
  }
  arrow::fs::S3Options options = arrow::fs::S3Options::Defaults();
  if (!spec.region.empty()) options.region = spec.region;
  if (options.region.empty()) options.region = "us-east-1";
  if (const std::string endpoint = EndpointOf(spec); !endpoint.empty()) {
    const size_t scheme = endpoint.find("://");
    if (scheme != std::string::npos) options.scheme = endpoint.substr(0, scheme);
    options.endpoint_override =
        WithoutSlashes(scheme == std::string::npos ? endpoint : endpoint.substr(scheme + 3));
  }
  options.connect_timeout = kConnectSeconds;
  options.request_timeout = kRequestSeconds;
  options.retry_strategy = arrow::fs::S3RetryStrategy::GetAwsStandardRetryStrategy(kTries);
  Source source;
  ARROW_ASSIGN_OR_RAISE(source.files, arrow::fs::S3FileSystem::Make(options));
  source.root = WithoutSlashes(spec.bucket + (spec.prefix.empty() ? "" : "/" + spec.prefix));
  source.where = "s3://" + source.root;
  source.is_remote = true;
  return source;
}

}  // namespace

std::string EndpointOf(const SourceSpec& spec) {
  if (!spec.endpoint.empty()) return spec.endpoint;
  for (const char* variable : {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}) {
    const char* value = std::getenv(variable);
    if (value != nullptr && *value != 0) return value;
  }
  return "";
}

Result<Source> OpenSource(const SourceSpec& spec) {
  if (spec.kind == SourceSpec::Kind::kS3) return OpenS3(spec);
  if (spec.path.empty()) return InvalidArgument("a local source needs a path");
  Source source;
  source.files = std::make_shared<arrow::fs::LocalFileSystem>();
  source.root = WithoutSlashes(spec.path);
  source.where = source.root;
  return source;
}

void CloseSources() {
  if (s3_in_use.exchange(false)) IgnoreError(arrow::fs::FinalizeS3());
}

Status SourceError(const Source& source, const Status& status) {
  if (status.ok() || status.detail() != nullptr) return status;
  std::string hint;
  const std::string text = status.message();
  const auto says = [&](const char* word) { return text.find(word) != std::string::npos; };
  if (says("ACCESS_DENIED") || says("INVALID_ACCESS_KEY") || says("SIGNATURE") || says("403")) {
    hint = "; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
  } else if (says("NO_SUCH_BUCKET") || says("bucket does not exist")) {
    hint = "; check the name of the bucket";
  } else if (says("NETWORK_CONNECTION") || says("timeout") || says("Couldn't connect")) {
    hint = "; is the endpoint right, and reachable from here?";
  }
  return Unavailable(source.where + ": " + text + hint);
}

}  // namespace fletching::pull
