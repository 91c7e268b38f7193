#include <array>
#include <dlfcn.h>
#include <filesystem>
#include <mutex>
#include <string_view>
#include <vector>

#include <arrow/config.h>

#include "duck/duck_api.h"

namespace fletching::duck {
namespace {

// The C API grows from one minor version to the next, and what it returns may change.
constexpr std::string_view kVersion = "v1.5.";

Status Missing(const std::string& why) {
  return Unsupported("SQL needs DuckDB " + std::string(kVersion.substr(1)) + "x: " + why +
                     "; fix: pip install duckdb==1.5.5, or name a libduckdb.so (sql.library)");
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kFlags = RTLD_NOW | RTLD_LOCAL;
#else
// Its own names first: other libraries of the process export some of the same.
constexpr int kFlags = RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND;
#endif

// The module inside Python's package looks for the interpreter among what the process has.
void LoadInterpreterFor(const std::filesystem::path& module) {
  const std::string name = module.filename();
  const size_t at = name.find(".cpython-3");
  if (at == std::string::npos || ::dlsym(RTLD_DEFAULT, "Py_IsInitialized") != nullptr) return;
  const size_t begin = at + std::string_view(".cpython-3").size();
  const std::string minor = name.substr(begin, name.find_first_not_of("0123456789", begin) - begin);
  const std::string library = "libpython3." + minor + ".so.1.0";
  ::dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL);  // what fails shows in the next step
}

// The folder of Python packages that our copy of Arrow lies in: pip puts DuckDB beside it.
std::filesystem::path PackageFolder() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&arrow::GetBuildInfo), &info) == 0) return {};
  return std::filesystem::path(info.dli_fname).parent_path().parent_path();
}

// In the order in which they are tried.
std::vector<std::filesystem::path> Candidates(const std::string& path) {
  if (!path.empty()) return {path};
  std::vector<std::filesystem::path> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(PackageFolder(), ignored)) {
    if (entry.path().filename().string().starts_with("_duckdb.cpython")) {
      found.push_back(entry.path());
    }
  }
  found.emplace_back("libduckdb.so");
  return found;
}

Result<DuckApi> LoadFrom(const std::filesystem::path& path) {
  LoadInterpreterFor(path);
  void* const library = ::dlopen(path.c_str(), kFlags);
  if (library == nullptr) {
    const char* const error = ::dlerror();
    return Missing(error != nullptr ? error : path.string() + " cannot be loaded");
  }
  DuckApi api;
  std::string missing;
#define FLETCHING_DUCK_FIND(name, ...)                                                  \
  api.name = reinterpret_cast<DuckApi::name##_type>(::dlsym(library, "duckdb_" #name)); \
  if (api.name == nullptr) missing = "duckdb_" #name;
  FLETCHING_DUCK_FUNCTIONS(FLETCHING_DUCK_FIND)
#undef FLETCHING_DUCK_FIND
  if (api.library_version == nullptr) return Missing(path.string() + " is no DuckDB");
  const std::string version = api.library_version();
  if (!version.starts_with(kVersion)) return Missing(path.string() + " is DuckDB " + version);
  if (!missing.empty()) return Missing(path.string() + " has no " + missing);
  return api;
}

}  // namespace

Result<const DuckApi*> DuckApi::Load(const std::string& path) {
  static std::mutex mutex;
  static DuckApi loaded;
  const std::lock_guard lock(mutex);
  if (loaded.library_version != nullptr) return &loaded;
  Status why = Status::OK();
  for (const std::filesystem::path& candidate : Candidates(path)) {
    auto api = LoadFrom(candidate);
    if (!api.ok()) {
      if (why.ok() || candidate.has_parent_path()) why = api.status();
      continue;
    }
    loaded = *api;
    return &loaded;
  }
  return why;
}

Status ErrorOf(const std::string& message) {
  struct Rule {
    std::string_view word;
    ErrorCode code;
  };
  static constexpr std::array<Rule, 8> kRules = {{
      {"INTERRUPT", ErrorCode::kCancelled},
      {"Out of Memory", ErrorCode::kTooLarge},
      {"Permission", ErrorCode::kForbidden},
      {"IO Error", ErrorCode::kUnavailable},
      {"Not implemented", ErrorCode::kUnsupported},
      {"FATAL", ErrorCode::kInternal},
      {"INTERNAL", ErrorCode::kInternal},
      {"Internal", ErrorCode::kInternal},
  }};
  for (const Rule& rule : kRules) {
    if (message.starts_with(rule.word)) return MakeError(rule.code, message);
  }
  return InvalidArgument(message);
}

}  // namespace fletching::duck
