#include "access/key_file.h"

#include <algorithm>
#include <optional>

namespace fletching::access {
namespace {

constexpr std::array<std::string_view, 4> kRoleNames = {"none", "read", "write", "admin"};
constexpr size_t kNameBytesMax = 64;
constexpr std::string_view kBlanks = " \t\r";

std::string_view TakeWord(std::string_view* line) {
  line->remove_prefix(std::min(line->find_first_not_of(kBlanks), line->size()));
  const std::string_view word = line->substr(0, line->find_first_of(kBlanks));
  line->remove_prefix(word.size());
  return word;
}

bool IsName(std::string_view text, size_t bytes_max) {
  return !text.empty() && text.size() <= bytes_max &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '.' || c == '-';
         });
}

std::optional<Role> RoleOf(std::string_view word) {
  const auto found = std::find(kRoleNames.begin(), kRoleNames.end(), word);
  if (found == kRoleNames.end()) return std::nullopt;
  return static_cast<Role>(found - kRoleNames.begin());
}

int HexValue(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

bool ReadDigest(std::string_view hex, std::array<uint8_t, 32>* digest) {
  if (hex.size() != digest->size() * 2) return false;
  for (size_t i = 0; i < digest->size(); ++i) {
    const int high = HexValue(hex[2 * i]);
    const int low = HexValue(hex[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    (*digest)[i] = static_cast<uint8_t>(high * 16 + low);
  }
  return true;
}

std::optional<Grant> ReadGrant(std::string_view word) {
  const size_t equals = word.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  const auto role = RoleOf(word.substr(equals + 1));
  std::string_view table = word.substr(0, equals);
  Grant grant;
  grant.is_prefix = table.ends_with('*');
  if (grant.is_prefix) table.remove_suffix(1);
  const bool every_table = grant.is_prefix && table.empty();
  if (!role || !(every_table || IsName(table, 128))) return std::nullopt;
  grant.table = table;
  grant.role = *role;
  return grant;
}

// -> what is wrong with it, or "".
std::string ReadKey(std::string_view line, Key* key) {
  key->name = TakeWord(&line);
  if (!IsName(key->name, kNameBytesMax)) {
    return "a key's name is 1 to 64 letters, digits, '_', '.' or '-'";
  }
  if (!ReadDigest(TakeWord(&line), &key->digest)) {
    return "after the name comes the SHA-256 of the secret, 64 hex digits; `fletching keygen` "
           "prints such a line";
  }
  const auto role = RoleOf(TakeWord(&line));
  if (!role) return "after the digest comes a role: none, read, write or admin";
  key->role = *role;
  while (true) {
    const std::string_view word = TakeWord(&line);
    if (word.empty() || word.starts_with('#')) return "";
    auto grant = ReadGrant(word);
    if (!grant) return "after the role come grants: TABLE=ROLE, or PREFIX*=ROLE";
    key->grants.push_back(*std::move(grant));
  }
}

bool Fits(const Grant& grant, std::string_view table) {
  return grant.is_prefix ? table.starts_with(grant.table) : table == grant.table;
}

bool IsMoreExact(const Grant& grant, const Grant& other) {
  if (grant.is_prefix != other.is_prefix) return other.is_prefix;
  return grant.table.size() > other.table.size();
}

}  // namespace

std::string_view RoleName(Role role) { return kRoleNames[static_cast<size_t>(role)]; }

Role Key::RoleOn(std::string_view table) const {
  const Grant* decisive = nullptr;
  for (const Grant& grant : grants) {
    if (!Fits(grant, table)) continue;
    if (decisive == nullptr || IsMoreExact(grant, *decisive)) decisive = &grant;
  }
  return decisive == nullptr ? role : decisive->role;
}

Result<std::vector<Key>> ParseKeys(std::string_view text, const std::string& file) {
  std::vector<Key> keys;
  for (int number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const size_t start = line.find_first_not_of(kBlanks);
    if (start == std::string_view::npos || line[start] == '#') continue;
    Key key;
    std::string fault = ReadKey(line, &key);
    for (const Key& other : keys) {
      if (fault.empty() && other.name == key.name) fault = "a line above has this name";
      if (fault.empty() && other.digest == key.digest) fault = "a line above has this digest";
    }
    for (const Grant& grant : key.grants) {
      const auto same = [&](const Grant& other) {
        return other.table == grant.table && other.is_prefix == grant.is_prefix;
      };
      if (fault.empty() && std::count_if(key.grants.begin(), key.grants.end(), same) > 1) {
        fault = "a table is granted twice";
      }
    }
    if (!fault.empty()) return InvalidArgument(file + ":" + std::to_string(number) + ": " + fault);
    keys.push_back(std::move(key));
  }
  if (keys.empty()) {
    return InvalidArgument(file +
                           " holds no key, so nobody could come in; `fletching keygen` "
                           "prints a line for it");
  }
  return keys;
}

}  // namespace fletching::access
