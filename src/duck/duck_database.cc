#include "duck/duck_database.h"

#include <utility>

#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/utf8.h>

#include "duck/query_stream.h"

namespace fletching::duck {
namespace {

// The names of DuckDB's type numbers that lists of parameters need.
constexpr int32_t kBoolType = 1;
constexpr int32_t kInt64Type = 5;
constexpr int32_t kDoubleType = 11;
constexpr int32_t kTextType = 17;

class Settings {
 public:
  explicit Settings(const DuckApi& api) : api_(api) { api_.create_config(&config_); }
  ~Settings() { api_.destroy_config(&config_); }
  Settings(const Settings&) = delete;
  Settings& operator=(const Settings&) = delete;

  Status Set(const char* name, const std::string& value) {
    if (api_.set_config(config_, name, value.c_str()) == 0) return Status::OK();
    return InvalidArgument(std::string("DuckDB does not take ") + name + " = " + value);
  }
  Config get() const { return config_; }

 private:
  const DuckApi& api_;
  Config config_ = nullptr;
};

Status SetAll(const DuckOptions& options, Settings* settings) {
  ARROW_RETURN_NOT_OK(
      settings->Set("memory_limit", std::to_string(options.memory_bytes_max) + "B"));
  ARROW_RETURN_NOT_OK(settings->Set("threads", std::to_string(options.threads)));
  ARROW_RETURN_NOT_OK(settings->Set("temp_directory", options.spill_folder));
  ARROW_RETURN_NOT_OK(settings->Set("autoinstall_known_extensions", "false"));
  ARROW_RETURN_NOT_OK(settings->Set("autoload_known_extensions", "false"));
  return settings->Set("allow_community_extensions", "false");
}

// DuckDB stops the process at other bytes.
Status CheckText(std::string_view text) {
  arrow::util::InitializeUTF8();
  if (arrow::util::ValidateUTF8(text)) return Status::OK();
  return InvalidArgument("SQL and its parameters are UTF-8");
}

int32_t TypeOf(const QueryValue& value) {
  switch (value.value.index()) {
    case 1:
      return kBoolType;
    case 2:
      return kInt64Type;
    case 3:
      return kDoubleType;
    default:
      return kTextType;
  }
}

}  // namespace

std::string QuoteName(const std::string& name) {
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

Result<std::shared_ptr<DuckDatabase>> DuckDatabase::Open(const DuckOptions& options) {
  ARROW_ASSIGN_OR_RAISE(const DuckApi* const api, DuckApi::Load(options.library));
  Settings settings(*api);
  ARROW_RETURN_NOT_OK(SetAll(options, &settings));
  std::shared_ptr<DuckDatabase> made(new DuckDatabase(*api));
  char* error = nullptr;
  if (api->open_ext(nullptr, &made->database_, settings.get(), &error) != 0) {
    const Status why = ErrorOf(error != nullptr ? error : "DuckDB does not open");
    api->free(error);
    return why;
  }
  if (api->connect(made->database_, &made->converter_) != 0) {
    return Unavailable("DuckDB takes no connection");
  }
  ARROW_RETURN_NOT_OK(made->RegisterRows());
  ARROW_RETURN_NOT_OK(made->CloseUp());
  return made;
}

// Not among the settings: they would also refuse the folder for spilling.
Status DuckDatabase::CloseUp() {
  ARROW_ASSIGN_OR_RAISE(const auto connection, Connect());
  for (const char* const text :
       {"SET enable_external_access = false", "SET lock_configuration = true"}) {
    ARROW_ASSIGN_OR_RAISE(const auto rows, connection->Query(text, {}));
    ARROW_RETURN_NOT_OK(rows->ToTable().status());
  }
  return Status::OK();
}

DuckDatabase::~DuckDatabase() {
  if (converter_ != nullptr) api_.disconnect(&converter_);
  if (database_ != nullptr) api_.close(&database_);
}

Result<std::shared_ptr<DuckConnection>> DuckDatabase::Connect() {
  std::shared_ptr<DuckConnection> made(new DuckConnection(shared_from_this()));
  if (api_.connect(database_, &made->connection_) != 0) {
    return Unavailable("DuckDB takes no further connection");
  }
  return made;
}

uint64_t DuckDatabase::Share(std::shared_ptr<const RowSource> source) {
  const std::lock_guard lock(mutex_);
  shared_.emplace(next_number_, std::move(source));
  return next_number_++;
}

std::shared_ptr<const RowSource> DuckDatabase::FindShared(uint64_t number) const {
  const std::lock_guard lock(mutex_);
  const auto found = shared_.find(number);
  return found == shared_.end() ? nullptr : found->second;
}

void DuckDatabase::Unshare(uint64_t number) {
  std::shared_ptr<const RowSource> last;  // goes after the lock
  const std::lock_guard lock(mutex_);
  const auto found = shared_.find(number);
  if (found == shared_.end()) return;
  last = std::move(found->second);
  shared_.erase(found);
}

DuckConnection::~DuckConnection() {
  if (connection_ != nullptr) api().disconnect(&connection_);
  for (const uint64_t number : shared_) database_->Unshare(number);
}

void DuckConnection::Interrupt() { api().interrupt(connection_); }

Status DuckConnection::AddTable(const std::string& name, std::shared_ptr<const RowSource> source) {
  const uint64_t number = database_->Share(std::move(source));
  shared_.push_back(number);
  const std::string view = "CREATE TEMP VIEW " + QuoteName(name) + " AS SELECT * FROM " +
                           std::string(kRowsFunction) + "(" + std::to_string(number) + "::UBIGINT)";
  ARROW_ASSIGN_OR_RAISE(const auto made, Query(view, {}));
  std::shared_ptr<arrow::RecordBatch> ignored;
  return made->ReadNext(&ignored);
}

Result<Prepared> DuckConnection::Prepare(const std::string& text) {
  ARROW_RETURN_NOT_OK(CheckText(text));
  if (text.find('\0') != std::string::npos) return InvalidArgument("SQL has no NUL in it");
  Statements statements = nullptr;
  const uint64_t count = api().extract_statements(connection_, text.c_str(), &statements);
  Prepared prepared = nullptr;
  Status status = Status::OK();
  if (count == 1) {
    if (api().prepare_extracted_statement(connection_, statements, 0, &prepared) != 0) {
      const char* const error = api().prepare_error(prepared);
      status = ErrorOf(error != nullptr ? error : "the statement cannot be prepared");
      api().destroy_prepare(&prepared);
    }
  } else {
    const char* const error = api().extract_statements_error(statements);
    status = count > 1          ? InvalidArgument("one statement at a time, please")
             : error != nullptr ? ErrorOf(error)
                                : InvalidArgument("there is no statement");
  }
  api().destroy_extracted(&statements);
  ARROW_RETURN_NOT_OK(status);
  return prepared;
}

Result<Value> DuckConnection::MakeValue(const QueryValue& value) {
  const auto& held = value.value;
  if (const auto* yes = std::get_if<bool>(&held)) return api().create_bool(*yes);
  if (const auto* number = std::get_if<int64_t>(&held)) return api().create_int64(*number);
  if (const auto* number = std::get_if<double>(&held)) return api().create_double(*number);
  if (const auto* text = std::get_if<std::string>(&held)) {
    ARROW_RETURN_NOT_OK(CheckText(*text));
    return api().create_varchar_length(text->data(), text->size());
  }
  const auto* const list = std::get_if<QueryList>(&held);
  if (list == nullptr) return api().create_null_value();
  int32_t type = kTextType;
  bool is_known = false;
  std::vector<Value> values;
  Status status = Status::OK();
  for (const QueryValue& member : *list) {
    const bool is_null = std::holds_alternative<std::monostate>(member.value);
    if (std::holds_alternative<QueryList>(member.value) ||
        (!is_null && is_known && TypeOf(member) != type)) {
      status = InvalidArgument("a list of parameters has members of one type, and no lists");
      break;
    }
    if (!is_null) type = TypeOf(member);
    is_known = is_known || !is_null;
    auto made = MakeValue(member);
    status = made.status();
    if (!status.ok()) break;
    values.push_back(*made);
  }
  LogicalType logical = api().create_logical_type(type);
  Value made =
      status.ok() ? api().create_list_value(logical, values.data(), values.size()) : nullptr;
  api().destroy_logical_type(&logical);
  for (Value& one : values) api().destroy_value(&one);
  ARROW_RETURN_NOT_OK(status);
  return made;
}

Status DuckConnection::Bind(Prepared prepared, const QueryParameters& parameters) {
  const uint64_t wanted = api().nparams(prepared);
  if (wanted != parameters.size()) {
    return InvalidArgument("the statement has " + std::to_string(wanted) + " parameters, " +
                           std::to_string(parameters.size()) + " are given");
  }
  for (const auto& [name, value] : parameters) {
    uint64_t index = 0;
    if (api().bind_parameter_index(prepared, &index, name.c_str()) != 0) {
      return InvalidArgument("the statement has no parameter $" + name);
    }
    ARROW_ASSIGN_OR_RAISE(Value made, MakeValue(value));
    const State state = api().bind_value(prepared, index, made);
    api().destroy_value(&made);
    if (state != 0) return InvalidArgument("parameter $" + name + " cannot be bound");
  }
  return Status::OK();
}

Result<std::shared_ptr<arrow::RecordBatchReader>> DuckConnection::Query(
    const std::string& text, const QueryParameters& parameters) {
  ARROW_ASSIGN_OR_RAISE(Prepared prepared, Prepare(text));
  const Status bound = Bind(prepared, parameters);
  if (!bound.ok()) {
    api().destroy_prepare(&prepared);
    return bound;
  }
  return QueryStream::Run(shared_from_this(), prepared);
}

}  // namespace fletching::duck
