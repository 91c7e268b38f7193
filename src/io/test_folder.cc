#include "io/test_folder.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/check.h"

namespace fletching::io {

TestFolder::TestFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "fletching-XXXXXX").string();
  FLETCHING_CHECK(::mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}

TestFolder::~TestFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace fletching::io
