#include "pull/iceberg_source.h"

#include <array>
#include <cstdlib>
#include <string_view>
#include <utility>

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "ingest/sources.h"
#include "pull/helper_process.h"
#include "pull/source.h"

namespace fletching::pull {
namespace {

constexpr const char* kInstall = "pip install 'fletching[iceberg]'";
constexpr size_t kAnswerBytesMax = 1 << 20;
constexpr size_t kShownBytesMax = 500;

std::string Quoted(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (byte < 0x20) {
      quoted += "\\u00";
      quoted += {kHex[byte >> 4], kHex[byte & 15]};
      continue;
    }
    if (letter == '"' || letter == '\\') quoted += '\\';
    quoted += letter;
  }
  return quoted + '"';
}

template <typename Map>
std::string QuotedMap(const Map& map) {
  std::string text;
  for (const auto& [name, value] : map) {
    text += (text.empty() ? "" : ",") + Quoted(name) + ":" + Quoted(value);
  }
  return "{" + text + "}";
}

// A question; see _iceberg_reader.py. `more` are members that one of the actions alone has.
std::string Question(const SourceSpec& spec, const char* action, const std::string& more) {
  std::map<std::string, std::string> properties;
  if (!spec.region.empty()) properties["s3.region"] = spec.region;
  if (const std::string endpoint = EndpointOf(spec); !endpoint.empty()) {
    properties["s3.endpoint"] = endpoint;
  }
  return R"({"action":)" + Quoted(action) + R"(,"metadata":)" + Quoted(spec.path) + R"(,"table":)" +
         Quoted(spec.table) + R"(,"catalog":)" + QuotedMap(spec.catalog) + R"(,"properties":)" +
         QuotedMap(properties) + more + "}";
}

// Texts that stand in the line {"columns": {name: [text], ...}}.
Result<std::vector<std::string>> ParseTexts(std::string_view line,
                                            const std::vector<std::string>& names) {
  TableSchema schema;
  for (const std::string& name : names) {
    schema.columns.push_back({.name = name, .type = arrow::utf8()});
  }
  ARROW_ASSIGN_OR_RAISE(const auto batch, ingest::ParseJsonColumns(line, schema, false));
  std::vector<std::string> texts;
  for (const std::string& name : names) {
    const auto column = batch->GetColumnByName(name);
    if (column == nullptr || column->length() != 1 || column->IsNull(0)) {
      return InvalidArgument("'" + name + "' is missing");
    }
    texts.push_back(static_cast<const arrow::StringArray&>(*column).GetString(0));
  }
  return texts;
}

std::string_view LastLine(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  const size_t newline = text.rfind('\n');
  return newline == std::string_view::npos ? text : text.substr(newline + 1);
}

ErrorCode CodeNamed(std::string_view name) {
  for (const ErrorCode code : {ErrorCode::kInvalidArgument, ErrorCode::kSchemaMismatch,
                               ErrorCode::kNotFound, ErrorCode::kUnsupported}) {
    if (CodeName(code) == name) return code;
  }
  return ErrorCode::kUnavailable;
}

std::string Python() {
  const char* named = std::getenv("FLETCHING_PYTHON");
  return named != nullptr && *named != '\0' ? named : "python3";
}

std::string WhereOf(const SourceSpec& spec) {
  return "Iceberg table " + (spec.table.empty() ? spec.path : spec.table);
}

Status ErrorOf(const SourceSpec& spec, int exit_status, const std::string& errors) {
  const std::string where = WhereOf(spec) + ": ";
  if (exit_status < 0) {
    return Unavailable(where + "its helper was ended by signal " + std::to_string(-exit_status));
  }
  const std::string_view last = LastLine(errors);
  const auto texts = ParseTexts(last, {"code", "message"});
  if (texts.ok()) return MakeError(CodeNamed((*texts)[0]), where + (*texts)[1]);
  if (last.find("No module named") != std::string_view::npos) {
    return Unavailable(where + std::string(last.substr(0, kShownBytesMax)) + "; " + kInstall +
                       ", or name the interpreter that has it by FLETCHING_PYTHON");
  }
  return Unavailable(where + "its helper ended with status " + std::to_string(exit_status) + ": " +
                     std::string(last.substr(0, kShownBytesMax)));
}

Result<std::unique_ptr<HelperProcess>> StartHelper(const SourceSpec& spec, std::string question,
                                                   std::function<Status()> check) {
  auto helper = HelperProcess::Start({
      // -P: modules come from where the interpreter has them, not from the working folder.
      .command = {Python(), "-P", "-m", "fletching._iceberg_reader"},
      .input = std::move(question),
      .silence_ms_max = spec.silence_ms_max,
      .check = std::move(check),
  });
  if (helper.ok()) return helper;
  return Unavailable(WhereOf(spec) + ": " + helper.status().message() +
                     "; name an interpreter by FLETCHING_PYTHON, with " + kInstall);
}

// The end of a helper: OK when it has ended well.
Status EndOf(const SourceSpec& spec, HelperProcess* helper) {
  ARROW_ASSIGN_OR_RAISE(const int exit_status, helper->Wait());
  return exit_status == 0 ? Status::OK() : ErrorOf(spec, exit_status, helper->errors());
}

// What a helper prints, as Arrow reads streams.
class HelperStream final : public arrow::io::InputStream {
 public:
  explicit HelperStream(HelperProcess* helper) : helper_(helper) {}

  Status Close() override {
    is_closed_ = true;
    return Status::OK();
  }
  bool closed() const override { return is_closed_; }
  Result<int64_t> Tell() const override { return position_; }

  Result<int64_t> Read(int64_t byte_count, void* out) override {
    int64_t done = 0;
    while (done < byte_count) {
      auto got = helper_->Read(byte_count - done, static_cast<uint8_t*>(out) + done);
      if (!got.ok()) failure_ = got.status();
      ARROW_RETURN_NOT_OK(got.status());
      if (*got == 0) break;
      done += *got;
    }
    position_ += done;
    return done;
  }
  Result<std::shared_ptr<arrow::Buffer>> Read(int64_t byte_count) override {
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::ResizableBuffer> bytes,
                          arrow::AllocateResizableBuffer(byte_count));
    ARROW_ASSIGN_OR_RAISE(const int64_t got, Read(byte_count, bytes->mutable_data()));
    ARROW_RETURN_NOT_OK(bytes->Resize(got));
    return bytes;
  }
  // Of a read, before decoders wrapped it in words of their own.
  const Status& failure() const { return failure_; }

 private:
  HelperProcess* const helper_;
  Status failure_;
  int64_t position_ = 0;
  bool is_closed_ = false;
};

class SnapshotReader final : public arrow::RecordBatchReader {
 public:
  SnapshotReader(SourceSpec spec, std::unique_ptr<HelperProcess> helper)
      : spec_(std::move(spec)),
        helper_(std::move(helper)),
        stream_(std::make_shared<HelperStream>(helper_.get())) {}

  Status Open() {
    auto reader = ingest::OpenIpcStream(stream_, {});
    if (!reader.ok()) return WhyEnded(reader.status());
    reader_ = *std::move(reader);
    return Status::OK();
  }

  std::shared_ptr<arrow::Schema> schema() const override { return reader_->schema(); }

  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    const Status status = reader_->ReadNext(out);
    if (!status.ok()) return WhyEnded(status);
    if (*out != nullptr) return Status::OK();
    // A stream may end where a batch does: only its exit status tells whether that was all.
    return WithWhere(EndOf(spec_, helper_.get()));
  }

 private:
  Status WithWhere(const Status& status) const {
    const std::string where = WhereOf(spec_);
    if (status.ok() || status.message().starts_with(where)) return status;
    return MakeError(CodeOf(status), where + ": " + status.message());
  }

  // A stream that breaks off is told by the helper's own words, where it has any.
  Status WhyEnded(const Status& status) {
    if (!stream_->failure().ok()) return WithWhere(stream_->failure());
    if (CodeOf(status) == ErrorCode::kTooLarge) return WithWhere(status);
    const Status end = EndOf(spec_, helper_.get());
    return WithWhere(end.ok() ? status : end);
  }

  const SourceSpec spec_;
  const std::unique_ptr<HelperProcess> helper_;
  const std::shared_ptr<HelperStream> stream_;
  std::shared_ptr<arrow::RecordBatchReader> reader_;
};

}  // namespace

Result<IcebergSnapshot> FindSnapshot(const SourceSpec& spec, const std::function<Status()>& check) {
  ARROW_ASSIGN_OR_RAISE(const auto helper,
                        StartHelper(spec, Question(spec, "snapshot", ""), check));
  std::string answer;
  std::array<char, 4096> piece;
  while (answer.size() < kAnswerBytesMax) {
    auto got = helper->Read(piece.size(), piece.data());
    if (!got.ok())
      return MakeError(CodeOf(got.status()), WhereOf(spec) + ": " + got.status().message());
    if (*got == 0) break;
    answer.append(piece.data(), static_cast<size_t>(*got));
  }
  ARROW_RETURN_NOT_OK(EndOf(spec, helper.get()));
  const auto texts = ParseTexts(LastLine(answer), {"generation", "location", "text"});
  if (!texts.ok()) {
    return Unavailable(WhereOf(spec) +
                       ": its helper answers nonsense: " + texts.status().message());
  }
  return IcebergSnapshot{(*texts)[0], (*texts)[1], (*texts)[2]};
}

Result<std::shared_ptr<arrow::RecordBatchReader>> OpenSnapshotRows(const SourceSpec& spec,
                                                                   const IcebergSnapshot& snapshot,
                                                                   const TableSchema& schema,
                                                                   std::function<Status()> check) {
  std::string columns;
  for (const ColumnSchema& column : schema.columns) {
    columns += (columns.empty() ? "" : ",") + Quoted(column.name);
  }
  const std::string more =
      R"(,"location":)" + Quoted(snapshot.location) + R"(,"columns":[)" + columns + "]";
  ARROW_ASSIGN_OR_RAISE(auto helper,
                        StartHelper(spec, Question(spec, "rows", more), std::move(check)));
  auto reader = std::make_shared<SnapshotReader>(spec, std::move(helper));
  ARROW_RETURN_NOT_OK(reader->Open());
  return reader;
}

}  // namespace fletching::pull
