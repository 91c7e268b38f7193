// Who we are for S3: from options, the environment, or the usual chain of Amazon's SDK.
#pragma once

#include <memory>

#include "fletching/status.h"

#include "store/object_store.h"
#include "store/s3_signer.h"

namespace fletching::store {

// Threads: any.
class CredentialSource {
 public:
  virtual ~CredentialSource() = default;
  // What to sign with now; temporary ones are renewed before they end.
  // Errors: kUnavailable saying where was looked.
  virtual Result<Credentials> Get() = 0;
  // The store says that they have expired. True: the next Get may have others.
  virtual bool Renew() { return false; }
};

// In this order: nobody, if anonymous; those of `options`; AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY
// and AWS_SESSION_TOKEN; then, by libarrow_s3 at the first Get: profile files (AWS_PROFILE), web
// identity, container, instance. Errors: kInvalidArgument for one half of a pair.
Result<std::shared_ptr<CredentialSource>> MakeCredentialSource(const ObjectStoreOptions& options);

// The last of these alone.
std::shared_ptr<CredentialSource> ChainCredentials();

}  // namespace fletching::store
