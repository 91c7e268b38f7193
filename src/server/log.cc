#include "server/log.h"

#include <string>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "api/json_text.h"

namespace fletching::server {
namespace {

spdlog::level::level_enum LevelOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      break;
  }
  return spdlog::level::err;
}

}  // namespace

Log::Log(LogLevel least)
    : logger_(std::make_shared<spdlog::logger>("fletchingd",
                                               std::make_shared<spdlog::sinks::stderr_sink_mt>())) {
  logger_->set_level(LevelOf(least));
  logger_->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})",
                       spdlog::pattern_time_type::utc);
  logger_->flush_on(spdlog::level::debug);
}

void Log::Write(LogLevel level, std::string_view event, std::initializer_list<Field> fields) {
  if (!logger_->should_log(LevelOf(level))) return;
  std::string text = "\"event\":";
  api::AppendJsonString(&text, event);
  for (const Field& field : fields) {
    text += ',';
    api::AppendJsonString(&text, field.name);
    text += ':';
    if (const auto* number = std::get_if<int64_t>(&field.value)) {
      api::AppendJsonInt(&text, *number);
    } else {
      api::AppendJsonString(&text, std::get<std::string_view>(field.value));
    }
  }
  logger_->log(LevelOf(level), spdlog::string_view_t(text.data(), text.size()));
}

}  // namespace fletching::server
