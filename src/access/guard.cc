#include "access/guard.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sys/stat.h>
#include <utility>

#include "base/bytes.h"
#include "base/metric_names.h"
#include "base/metrics.h"
#include "store/digest.h"

namespace fletching::access {
namespace {

constexpr size_t kFileBytesMax = size_t{1} << 20;
constexpr size_t kSecretBytesMax = 1024;

// Looks at every byte whatever it finds.
bool AreEqual(const std::array<uint8_t, 32>& left, const std::array<uint8_t, 32>& right) {
  volatile uint8_t difference = 0;
  for (size_t i = 0; i < left.size(); ++i) {
    difference = static_cast<uint8_t>(difference | (left[i] ^ right[i]));
  }
  return difference == 0;
}

Result<std::string> ReadText(const std::string& file) {
  errno = 0;
  std::ifstream stream(file, std::ios::binary);
  std::string text(kFileBytesMax + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!stream.eof() && !stream.good()) {
    return Unavailable("cannot read the file of keys " + file + ": " +
                       std::strerror(errno != 0 ? errno : EIO));
  }
  text.resize(static_cast<size_t>(stream.gcount()));
  if (text.size() > kFileBytesMax) return InvalidArgument(file + " is too long for a file of keys");
  return text;
}

Role RoleFor(Need need) {
  switch (need) {
    case Need::kRead:
      return Role::kRead;
    case Need::kWrite:
      return Role::kWrite;
    default:
      return Role::kAdmin;
  }
}

}  // namespace

bool Caller::May(Need need, std::string_view table) const {
  if (key_ == nullptr) return true;
  switch (need) {
    case Need::kUnset:
      return false;
    case Need::kOpen:
    case Need::kAnyKey:
      return true;
    default:
      return key_->RoleOn(table) >= RoleFor(need);
  }
}

Result<std::unique_ptr<Guard>> Guard::Open(const std::string& file, Metrics* metrics) {
  ARROW_RETURN_NOT_OK(store::LoadDigests());
  auto guard = std::unique_ptr<Guard>(new Guard(file));
  if (metrics != nullptr) {
    guard->unauthenticated_ = metrics->Get(metric::kRejected, {"unauthenticated"});
    guard->forbidden_ = metrics->Get(metric::kRejected, {"forbidden"});
  }
  ARROW_RETURN_NOT_OK(guard->Reload());
  return guard;
}

Status Guard::Reload() {
  ARROW_ASSIGN_OR_RAISE(const std::string text, ReadText(file_));
  ARROW_ASSIGN_OR_RAISE(std::vector<Key> parsed, ParseKeys(text, file_));
  auto keys = std::make_shared<Keys>();
  for (Key& key : parsed) keys->push_back(std::make_shared<const Key>(std::move(key)));
  const std::lock_guard lock(mutex_);
  keys_ = std::move(keys);
  return Status::OK();
}

size_t Guard::key_count() const {
  const std::lock_guard lock(mutex_);
  return keys_->size();
}

bool Guard::is_exposed() const {
  struct stat info = {};
  return ::stat(file_.c_str(), &info) == 0 && (info.st_mode & (S_IROTH | S_IWOTH)) != 0;
}

Result<Caller> Guard::Identify(std::optional<std::string_view> secret) const {
  const auto refuse = [&](const char* why) {
    if (unauthenticated_ != nullptr) unauthenticated_->Add();
    return MakeError(ErrorCode::kUnauthenticated, why);
  };
  if (!secret.has_value()) {
    return refuse("this server asks for a key; send it as 'Authorization: Bearer SECRET'");
  }
  if (secret->size() > kSecretBytesMax) return refuse("the key is not known here");
  std::shared_ptr<const Keys> keys;
  {
    const std::lock_guard lock(mutex_);
    keys = keys_;
  }
  const auto digest = store::Sha256(AsBytes(*secret));
  Caller caller;
  for (const auto& key : *keys) {
    if (AreEqual(key->digest, digest)) caller.key_ = key;
  }
  if (caller.key_ == nullptr) return refuse("the key is not known here");
  return caller;
}

Status Guard::Check(const Caller& caller, Need need, std::string_view table) const {
  if (caller.May(need, table)) return Status::OK();
  if (forbidden_ != nullptr) forbidden_->Add();
  std::string text = "the key has role ";
  text.append(RoleName(caller.key_->RoleOn(table)));
  if (!table.empty()) text.append(" on table '").append(table.substr(0, 128)).append("'");
  text.append("; this needs ").append(RoleName(RoleFor(need)));
  return MakeError(ErrorCode::kForbidden, std::move(text));
}

std::optional<std::string_view> BearerOf(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  if (authorization.size() <= kScheme.size()) return std::nullopt;
  const auto same = [](char scheme, char sent) {
    return (sent >= 'A' && sent <= 'Z' ? static_cast<char>(sent - 'A' + 'a') : sent) == scheme;
  };
  if (!std::equal(kScheme.begin(), kScheme.end(), authorization.begin(), same)) return std::nullopt;
  std::string_view secret = authorization.substr(kScheme.size());
  secret.remove_prefix(std::min(secret.find_first_not_of(' '), secret.size()));
  if (secret.empty()) return std::nullopt;
  return secret;
}

}  // namespace fletching::access
