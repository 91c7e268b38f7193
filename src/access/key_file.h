// The file of keys: one line per key, never a secret.
//
//   # NAME     SHA-256 OF THE SECRET (64 hex digits)    ROLE   TABLE=ROLE ...
//   grafana    9f86d081884c7d659a2feaa0c55ad015a3bf...   read
//   etl        60303ae22b998861bce3b28f33eec1be758a...   none   docs=write features_*=admin
//
// The role counts for every table that no grant names. Of grants that fit a table the most exact
// one decides: its name, then the longest prefix.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fletching/status.h"

namespace fletching::access {

// Each may do what those before it may.
enum class Role : uint8_t {
  kNone,   // nothing
  kRead,   // fetch, scan, list, schema
  kWrite,  // write, delete rows
  kAdmin,  // create, drop, change, compact, roll back
};

std::string_view RoleName(Role role);  // "read"

struct Grant {
  std::string table;  // without the '*'
  bool is_prefix = false;
  Role role = Role::kNone;
};

struct Key {
  std::string name;
  std::array<uint8_t, 32> digest = {};
  Role role = Role::kNone;
  std::vector<Grant> grants;

  Role RoleOn(std::string_view table) const;
};

// `file` names it in errors. Errors: kInvalidArgument naming the line. They show nothing of it, for
// what stands there by mistake may be a secret.
Result<std::vector<Key>> ParseKeys(std::string_view text, const std::string& file);

}  // namespace fletching::access
