#include "store/s3_credentials.h"

#include <cstdlib>
#include <string>
#include <utility>

namespace fletching::store {
namespace {

class FixedCredentials final : public CredentialSource {
 public:
  explicit FixedCredentials(Credentials credentials) : credentials_(std::move(credentials)) {}
  Result<Credentials> Get() override { return credentials_; }

 private:
  const Credentials credentials_;
};

std::string FromEnvironment(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

Result<std::shared_ptr<CredentialSource>> MakeCredentialSource(const ObjectStoreOptions& options) {
  if (options.anonymous) return std::make_shared<FixedCredentials>(Credentials{});
  Credentials given{options.access_key, options.secret_key, options.session_token};
  const char* place = "the settings have";
  if (given.access_key.empty() && given.secret_key.empty()) {
    given = {FromEnvironment("AWS_ACCESS_KEY_ID"), FromEnvironment("AWS_SECRET_ACCESS_KEY"),
             FromEnvironment("AWS_SESSION_TOKEN")};
    place = "the environment has";
  }
  if (given.access_key.empty() != given.secret_key.empty()) {
    return InvalidArgument(std::string("S3 credentials: ") + place + " an access key or a secret " +
                           "key, but not both; give the pair");
  }
  if (!given.access_key.empty()) return std::make_shared<FixedCredentials>(std::move(given));
  return ChainCredentials();
}

}  // namespace fletching::store
