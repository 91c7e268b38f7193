#include "server/config.h"

#include <optional>
#include <set>
#include <utility>

#include <CLI/CLI.hpp>

#include "base/nearest_name.h"
#include "server/dialects.h"
#include "server/settings.h"
#include "server/table_settings.h"
#include "server/yaml_file.h"

namespace fletching::server {
namespace {

constexpr std::string_view kPrefix = "FLETCHING_";
constexpr std::string_view kConfigVariable = "FLETCHING_CONFIG";
// Of the clients, which may well be started from the same environment.
constexpr std::string_view kClientVariable = "FLETCHING_API_KEY";
constexpr std::string_view kBool = "BOOL";
constexpr std::string_view kPythonVariable = "FLETCHING_PYTHON";  // pull/iceberg_source.cc

constexpr char kHelpHead[] =
    "fletchingd keeps tables of features in a folder and serves them over HTTP\nand Arrow "
    "Flight.\n\n"
    "  fletchingd                                  tables in ./fletching-data, HTTP on\n"
    "                                              127.0.0.1:8080, Flight on 127.0.0.1:8081\n"
    "  fletchingd --data-dir /var/lib/fletching --http 0.0.0.0:8080 --keys-file keys\n"
    "  fletching keygen NAME                       a secret, and its line for the keys file\n"
    "  curl http://127.0.0.1:8080/openapi.json     what it answers to\n";

constexpr char kHelpFoot[] =
    "\nEvery setting can also stand in the file named by --config or FLETCHING_CONFIG, and in the\n"
    "environment. Flags win over the environment, the environment over the file:\n\n"
    "  limits:                 FLETCHING_LIMITS_BODY=4GiB      --limits-body 4GiB\n"
    "    body: 4GiB\n\n"
    "When it is ready, one line of JSON on stdout tells the addresses: with --http 127.0.0.1:0\n"
    "the port is whichever was free. Logs are lines of JSON on stderr. SIGTERM and SIGINT end it "
    "in\n"
    "order: readiness fails, requests under way finish, nothing acknowledged is lost. SIGHUP "
    "reads\n"
    "the keys file and the certificate again.\n";

Status Labelled(const std::string& where, const Status& status) {
  return status.WithMessage(where, ": ", status.message());
}

Status ApplyFile(const std::string& file, LoadedConfig* loaded) {
  ServerConfig* config = &loaded->config;
  ARROW_ASSIGN_OR_RAISE(const auto settings, ReadYamlFile(file));
  ARROW_ASSIGN_OR_RAISE(config->tables, ReadTableSettings(file));
  for (const YamlSetting& given : settings) {
    const std::string where = file + ":" + std::to_string(given.line);
    const Setting* setting = FindSetting(given.path);
    const DialectSetting* dialect = FindDialectSetting(given.path);
    if (setting == nullptr && dialect != nullptr) {
      if (dialect->read == nullptr) {
        loaded->warnings.push_back(where + ": " + given.path +
                                   " changes nothing here: " + std::string(dialect->why));
        continue;
      }
      const Status status = dialect->read(given.value, config);
      if (!status.ok()) return Labelled(where + ": " + given.path, status);
      continue;
    }
    if (setting == nullptr) {
      std::vector<std::string_view> known;
      for (const Setting& candidate : Settings()) known.push_back(candidate.path);
      return InvalidArgument(where + ": setting '" + given.path + "' is not known" +
                             DidYouMean(given.path, known));
    }
    const Status status = setting->read(given.value, config);
    if (!status.ok()) return Labelled(where + ": " + given.path, status);
  }
  return Status::OK();
}

// Unknown variables only warn: other programs' deployments set what they like.
Status ApplyEnvironment(std::span<const std::string_view> environment, LoadedConfig* loaded) {
  std::vector<std::string> names;
  for (const Setting& setting : Settings()) names.push_back(VariableOf(setting));
  const std::vector<std::string_view> known(names.begin(), names.end());
  for (const std::string_view entry : environment) {
    const size_t equals = entry.find('=');
    if (!entry.starts_with(kPrefix) || equals == std::string_view::npos) continue;
    const std::string name(entry.substr(0, equals));
    if (name == kConfigVariable || name == kClientVariable || name == kPythonVariable) continue;
    size_t at = 0;
    while (at < names.size() && names[at] != name) ++at;
    if (at == names.size()) {
      loaded->warnings.push_back("environment variable " + name + " is not known" +
                                 DidYouMean(name, known));
      continue;
    }
    const Status status = Settings()[at].read(entry.substr(equals + 1), &loaded->config);
    if (!status.ok()) return Labelled(name, status);
  }
  return Status::OK();
}

struct Flags {
  CLI::App app{kHelpHead};
  std::string config;
  bool version = false;
  bool promote = false;
  std::vector<std::string> values;
  std::vector<CLI::Option*> options;
};

void Declare(Flags* flags) {
  ServerConfig defaults;
  flags->app.name("fletchingd");
  flags->app.footer(kHelpFoot);
  flags->app.allow_extras();  // so that we can suggest what was meant
  flags->app.add_option("--config", flags->config, "YAML file with settings")->type_name("FILE");
  flags->app.add_flag("--version", flags->version, "Print the version and end");
  flags->app.add_flag("--promote", flags->promote,
                      "Make --data-dir, empty or a replica's, the writer of --remote, and end");
  flags->values.resize(Settings().size());
  for (size_t i = 0; i < Settings().size(); ++i) {
    const Setting& setting = Settings()[i];
    const std::string help = std::string(setting.help) + " [" + setting.show(defaults) + "]";
    CLI::Option* option = flags->app.add_option(FlagOf(setting), flags->values[i], help);
    option->type_name(std::string(setting.value));
    if (setting.value == kBool) option->expected(0, 1);  // --insecure alone is --insecure true
    const size_t dot = setting.path.find('.');
    if (dot != std::string_view::npos && !setting.path.starts_with("http.") &&
        !setting.path.starts_with("metrics.")) {
      option->group(std::string(setting.path.substr(0, dot)));
    }
    flags->options.push_back(option);
  }
}

Status Refuse(const Flags& flags) {
  const std::vector<std::string> extras = flags.app.remaining();
  if (extras.empty()) return Status::OK();
  const std::string given = extras[0].substr(0, extras[0].find('='));
  std::vector<std::string> names = {"--config", "--help", "--promote", "--version"};
  for (const Setting& setting : Settings()) names.push_back(FlagOf(setting));
  const std::vector<std::string_view> known(names.begin(), names.end());
  const bool flag = given.starts_with("-");
  return InvalidArgument((flag ? "flag " : "argument '") + given + (flag ? "" : "'") +
                         " is not known" + DidYouMean(given, known) + "; see fletchingd --help");
}

std::string ConfigFileOf(const Flags& flags, std::span<const std::string_view> environment) {
  if (!flags.config.empty()) return flags.config;
  for (const std::string_view entry : environment) {
    if (entry.starts_with(kConfigVariable) && entry.substr(kConfigVariable.size()).starts_with('='))
      return std::string(entry.substr(kConfigVariable.size() + 1));
  }
  return "";
}

}  // namespace

Result<LoadedConfig> LoadConfig(std::span<const std::string_view> arguments,
                                std::span<const std::string_view> environment) {
  LoadedConfig loaded;
  Flags flags;
  Declare(&flags);
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // as CLI11 wants it
  try {
    flags.app.parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    loaded.answer = flags.app.help();
    return loaded;
  } catch (const CLI::ParseError& error) {
    return InvalidArgument(std::string(error.what()) + "; see fletchingd --help");
  }
  ARROW_RETURN_NOT_OK(Refuse(flags));
  if (flags.version) {
    loaded.answer = "fletchingd " FLETCHING_VERSION "\n";
    return loaded;
  }
  loaded.config.promotes = flags.promote;
  const std::string file = ConfigFileOf(flags, environment);
  if (!file.empty()) ARROW_RETURN_NOT_OK(ApplyFile(file, &loaded));
  ARROW_RETURN_NOT_OK(ApplyEnvironment(environment, &loaded));
  for (size_t i = 0; i < Settings().size(); ++i) {
    if (flags.options[i]->count() == 0) continue;
    const bool bare = Settings()[i].value == kBool && flags.values[i].empty();
    const Status status = Settings()[i].read(bare ? "true" : flags.values[i], &loaded.config);
    if (!status.ok()) return Labelled(FlagOf(Settings()[i]), status);
  }
  return loaded;
}

}  // namespace fletching::server
