// ObjectStore on S3. The calls are in s3_store.cc; whole files in s3_files.cc, conditional puts in
// s3_conditional.cc.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "store/object_store.h"
#include "store/s3_client.h"

namespace fletching::store {

class S3Store final : public ObjectStore {
 public:
  static Result<std::unique_ptr<ObjectStore>> Make(S3Place place,
                                                   const ObjectStoreOptions& options);

  const std::string& url() const override { return url_; }
  Result<ObjectInfo> Head(const std::string& key, const CallOptions& call) override;
  Result<ObjectBytes> Get(const std::string& key, const GetOptions& options) override;
  Status GetRanges(const std::string& key, const std::string& if_match,
                   std::span<const RangeRead> ranges, const CallOptions& call) override;
  Result<ObjectInfo> GetToFile(const std::string& key, const std::string& path,
                               const DownloadOptions& options) override;
  Result<ObjectInfo> Put(const std::string& key, ByteSpan bytes, const CallOptions& call) override;
  Result<ObjectInfo> PutFile(const std::string& key, const std::string& path,
                             const CallOptions& call) override;
  Result<ObjectInfo> PutIfAbsent(const std::string& key, ByteSpan bytes,
                                 const CallOptions& call) override;
  Result<ObjectInfo> PutIfMatch(const std::string& key, ByteSpan bytes, const std::string& etag,
                                const CallOptions& call) override;
  Result<ObjectPage> List(const std::string& prefix, const ListOptions& options) override;
  Status Delete(std::span<const std::string> keys, const CallOptions& call) override;

 private:
  struct Upload;  // of parts, in s3_files.cc
  class ConditionalPut;

  S3Store(std::unique_ptr<S3Client> client);
  Result<ObjectInfo> PutCall(S3Call call, const CallOptions& options);
  Result<ObjectInfo> PutParts(const std::string& key, const std::string& path, int descriptor,
                              uint64_t size_bytes, const CallOptions& call);
  Status BeginUpload(Upload* upload, const CallOptions& call);
  Status SendParts(Upload* upload, const CallOptions& call);
  Result<ObjectInfo> CompleteUpload(Upload* upload, const CallOptions& call);
  void AbortUpload(const Upload& upload);
  Result<ObjectInfo> FindCompleted(const Upload& upload, const CallOptions& call);

  const std::unique_ptr<S3Client> client_;
  const std::string url_;
};

}  // namespace fletching::store
