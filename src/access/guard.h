// Lets requests in or turns them away, by the file of keys. Every door asks here, and nowhere else.
//
//   auto guard = Guard::Open("/etc/fletching/keys", metrics).ValueOrDie();
//   ARROW_ASSIGN_OR_RAISE(const Caller caller, guard->Identify(secret));
//   ARROW_RETURN_NOT_OK(guard->Check(caller, Need::kWrite, "docs"));
//
// Knows no HTTP and no Flight. Secrets are compared by their digests, all of them every time, so
// that how long it takes says nothing.
// Threads: any.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fletching/status.h"

#include "access/key_file.h"

namespace fletching {
class Counter;
class Metrics;
}  // namespace fletching

namespace fletching::access {

// What a request needs.
enum class Need : uint8_t {
  kUnset,   // nobody thought of it: always refused
  kOpen,    // nothing, not even a key
  kAnyKey,  // any key that is known
  kRead,    // these roles, on the table that it names
  kWrite,
  kAdmin,
};

// Who asks. Keeps its rights while it lasts, whatever becomes of the file.
class Caller {
 public:
  Caller() = default;  // of a server without keys: may do everything
  bool May(Need need, std::string_view table) const;

 private:
  friend class Guard;
  std::shared_ptr<const Key> key_;
};

class Guard {
 public:
  // `metrics`: counts who was turned away; may be null. Lifetime: outlives the guard.
  // Errors: kNotFound and kUnavailable for the file, kInvalidArgument for what is in it,
  // kUnsupported naming the library that is missing.
  static Result<std::unique_ptr<Guard>> Open(const std::string& file, Metrics* metrics);

  // Reads the file again. After an error the keys are those of before.
  Status Reload();
  size_t key_count() const;
  // Whether others than the owner and the group can read or change the file.
  bool is_exposed() const;

  // No secret: the request has none. Errors: kUnauthenticated.
  Result<Caller> Identify(std::optional<std::string_view> secret) const;
  // `table`: empty where the request is about none. Errors: kForbidden naming role and table.
  Status Check(const Caller& caller, Need need, std::string_view table) const;

 private:
  using Keys = std::vector<std::shared_ptr<const Key>>;
  explicit Guard(std::string file) : file_(std::move(file)) {}

  const std::string file_;
  std::shared_ptr<Counter> unauthenticated_;
  std::shared_ptr<Counter> forbidden_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Keys> keys_;
};

// "Bearer SECRET" -> SECRET; nothing for another scheme.
std::optional<std::string_view> BearerOf(std::string_view authorization);

}  // namespace fletching::access
