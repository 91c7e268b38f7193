#include "server/yaml_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include <yaml-cpp/yaml.h>

namespace fletching::server {
namespace {

Status AtLine(const std::string& file, int line, const std::string& what) {
  return InvalidArgument(file + ":" + std::to_string(line) + ": " + what);
}

Status Flatten(const std::string& file, const YAML::Node& map, const std::string& prefix,
               std::vector<YamlSetting>* out) {
  std::set<std::string> seen;
  for (const auto& member : map) {
    const int line = member.first.Mark().line + 1;
    if (!member.first.IsScalar()) return AtLine(file, line, "a setting's name must be a word");
    const std::string path = prefix + member.first.Scalar();
    if (path == "tables") continue;  // table_settings.h
    if (!seen.insert(path).second) return AtLine(file, line, "'" + path + "' is given twice");
    if (member.second.IsMap()) {
      ARROW_RETURN_NOT_OK(Flatten(file, member.second, path + ".", out));
    } else if (member.second.IsScalar()) {
      out->push_back({path, member.second.Scalar(), line});
    } else if (!member.second.IsNull()) {  // "limits:" with nothing below says nothing
      return AtLine(file, line, "'" + path + "' must be a single value");
    }
  }
  return Status::OK();
}

}  // namespace

Result<std::vector<YamlSetting>> ReadYamlFile(const std::string& path) {
  std::ifstream stream(path);
  if (!stream) {
    const std::string why = "configuration file '" + path + "': " + std::strerror(errno);
    return MakeError(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kUnavailable, why);
  }
  std::stringstream text;
  text << stream.rdbuf();
  std::vector<YamlSetting> settings;
  try {
    const YAML::Node root = YAML::Load(text.str());
    if (root.IsNull()) return settings;  // all commented out
    if (!root.IsMap()) return AtLine(path, 1, "the file must hold 'name: value' lines");
    ARROW_RETURN_NOT_OK(Flatten(path, root, "", &settings));
  } catch (const YAML::Exception& error) {
    return AtLine(path, error.mark.line + 1, error.msg);
  }
  return settings;
}

}  // namespace fletching::server
