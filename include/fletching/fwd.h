// Names of the public face, for headers that only mention them.
#pragma once

#include <cstdint>

namespace fletching {

class Engine;
class Metrics;

struct ColumnSchema;
struct TableSchema;
struct EngineOptions;
struct ReadRequest;
struct ReadResult;
struct MatrixView;
struct MatrixRequest;
struct MatrixResult;
struct WriteRequest;
struct WriteResult;
struct DeleteRequest;
struct ScanRequest;
struct TableInfo;
struct VerifyReport;

enum class ErrorCode : uint8_t;
enum class MatrixType : uint8_t;
enum class WriteMode : uint8_t;
enum class OpenMode : uint8_t;

}  // namespace fletching
