// The part of DuckDB's C API that is used here, declared by name and shape: DuckDB is loaded at run
// time and its library ships no header. Facts: https://duckdb.org/docs/stable/clients/c/api.
//
// Handles are pointers that DuckDB owns; who gets one destroys it by the function of that name.
#pragma once

#include <cstdint>
#include <string>

#include "arrow/c/abi.h"

#include "fletching/status.h"

namespace fletching::duck {

// Handles of the C API.
using Database = struct DatabaseTag*;
using Connection = struct ConnectionTag*;
using Config = struct ConfigTag*;
using Statements = struct StatementsTag*;
using Prepared = struct PreparedTag*;
using Chunk = struct ChunkTag*;
using Vector = struct VectorTag*;
using LogicalType = struct LogicalTypeTag*;
using Value = struct ValueTag*;
using ErrorData = struct ErrorDataTag*;
using ArrowOptions = struct ArrowOptionsTag*;
using ConvertedSchema = struct ConvertedSchemaTag*;
using TableFunction = struct TableFunctionTag*;
using BindInfo = struct BindInfoTag*;
using InitInfo = struct InitInfoTag*;
using FunctionInfo = struct FunctionInfoTag*;

using State = int32_t;  // 0: success
using Destroy = void (*)(void* data);

// Passed by value by some functions.
struct ResultData {
  uint64_t unused[3];
  void* unused_columns;
  char* unused_error;
  void* internal;
};

// Rows of one chunk at the most: the capacity of the chunk that a table function fills.
inline constexpr int64_t kChunkRowsMax = 2048;

// X(member, name of the C function, its type)
#define FLETCHING_DUCK_FUNCTIONS(X)                                                            \
  X(library_version, const char* (*)())                                                        \
  X(free, void (*)(void*))                                                                     \
  X(create_config, State (*)(Config*))                                                         \
  X(set_config, State (*)(Config, const char* name, const char* value))                        \
  X(destroy_config, void (*)(Config*))                                                         \
  X(open_ext, State (*)(const char* path, Database*, Config, char** error))                    \
  X(close, void (*)(Database*))                                                                \
  X(connect, State (*)(Database, Connection*))                                                 \
  X(disconnect, void (*)(Connection*))                                                         \
  X(interrupt, void (*)(Connection))                                                           \
  X(extract_statements, uint64_t (*)(Connection, const char* text, Statements*))               \
  X(extract_statements_error, const char* (*)(Statements))                                     \
  X(prepare_extracted_statement, State (*)(Connection, Statements, uint64_t index, Prepared*)) \
  X(destroy_extracted, void (*)(Statements*))                                                  \
  X(prepare_error, const char* (*)(Prepared))                                                  \
  X(destroy_prepare, void (*)(Prepared*))                                                      \
  X(nparams, uint64_t (*)(Prepared))                                                           \
  X(bind_parameter_index, State (*)(Prepared, uint64_t* index, const char* name))              \
  X(bind_value, State (*)(Prepared, uint64_t index, Value))                                    \
  X(execute_prepared_streaming, State (*)(Prepared, ResultData*))                              \
  X(result_error, const char* (*)(ResultData*))                                                \
  X(destroy_result, void (*)(ResultData*))                                                     \
  X(column_count, uint64_t (*)(ResultData*))                                                   \
  X(column_name, const char* (*)(ResultData*, uint64_t column))                                \
  X(column_logical_type, LogicalType (*)(ResultData*, uint64_t column))                        \
  X(destroy_logical_type, void (*)(LogicalType*))                                              \
  X(fetch_chunk, Chunk (*)(ResultData))                                                        \
  X(destroy_data_chunk, void (*)(Chunk*))                                                      \
  X(data_chunk_get_vector, Vector (*)(Chunk, uint64_t column))                                 \
  X(data_chunk_set_size, void (*)(Chunk, uint64_t rows))                                       \
  X(vector_get_column_type, LogicalType (*)(Vector))                                           \
  X(vector_get_data, void* (*)(Vector))                                                        \
  X(vector_reference_vector, void (*)(Vector to, Vector from))                                 \
  X(result_get_arrow_options, ArrowOptions (*)(ResultData*))                                   \
  X(destroy_arrow_options, void (*)(ArrowOptions*))                                            \
  X(to_arrow_schema,                                                                           \
    ErrorData (*)(ArrowOptions, LogicalType*, const char**, uint64_t columns, ArrowSchema*))   \
  X(data_chunk_to_arrow, ErrorData (*)(ArrowOptions, Chunk, ArrowArray*))                      \
  X(schema_from_arrow, ErrorData (*)(Connection, ArrowSchema*, ConvertedSchema*))              \
  X(destroy_arrow_converted_schema, void (*)(ConvertedSchema*))                                \
  X(data_chunk_from_arrow, ErrorData (*)(Connection, ArrowArray*, ConvertedSchema, Chunk*))    \
  X(error_data_has_error, bool (*)(ErrorData))                                                 \
  X(error_data_message, const char* (*)(ErrorData))                                            \
  X(destroy_error_data, void (*)(ErrorData*))                                                  \
  X(create_varchar_length, Value (*)(const char*, uint64_t bytes))                             \
  X(create_bool, Value (*)(bool))                                                              \
  X(create_int64, Value (*)(int64_t))                                                          \
  X(create_double, Value (*)(double))                                                          \
  X(create_null_value, Value (*)())                                                            \
  X(create_list_value, Value (*)(LogicalType, Value*, uint64_t count))                         \
  X(create_logical_type, LogicalType (*)(int32_t type))                                        \
  X(get_uint64, uint64_t (*)(Value))                                                           \
  X(get_varchar, char* (*)(Value))                                                             \
  X(destroy_value, void (*)(Value*))                                                           \
  X(create_table_function, TableFunction (*)())                                                \
  X(destroy_table_function, void (*)(TableFunction*))                                          \
  X(table_function_set_name, void (*)(TableFunction, const char*))                             \
  X(table_function_add_parameter, void (*)(TableFunction, LogicalType))                        \
  X(table_function_set_extra_info, void (*)(TableFunction, void*, Destroy))                    \
  X(table_function_set_bind, void (*)(TableFunction, void (*)(BindInfo)))                      \
  X(table_function_set_init, void (*)(TableFunction, void (*)(InitInfo)))                      \
  X(table_function_set_function, void (*)(TableFunction, void (*)(FunctionInfo, Chunk)))       \
  X(table_function_supports_projection_pushdown, void (*)(TableFunction, bool))                \
  X(register_table_function, State (*)(Connection, TableFunction))                             \
  X(bind_get_extra_info, void* (*)(BindInfo))                                                  \
  X(bind_get_parameter, Value (*)(BindInfo, uint64_t index))                                   \
  X(bind_add_result_column, void (*)(BindInfo, const char* name, LogicalType))                 \
  X(bind_set_bind_data, void (*)(BindInfo, void*, Destroy))                                    \
  X(bind_set_cardinality, void (*)(BindInfo, uint64_t rows, bool is_exact))                    \
  X(bind_set_error, void (*)(BindInfo, const char*))                                           \
  X(init_get_bind_data, void* (*)(InitInfo))                                                   \
  X(init_set_init_data, void (*)(InitInfo, void*, Destroy))                                    \
  X(init_get_column_count, uint64_t (*)(InitInfo))                                             \
  X(init_get_column_index, uint64_t (*)(InitInfo, uint64_t index))                             \
  X(init_set_max_threads, void (*)(InitInfo, uint64_t threads))                                \
  X(init_set_error, void (*)(InitInfo, const char*))                                           \
  X(function_get_init_data, void* (*)(FunctionInfo))                                           \
  X(function_set_error, void (*)(FunctionInfo, const char*))

// Every function above, found. Threads: any; never changes.
struct DuckApi {
#define FLETCHING_DUCK_MEMBER(name, ...) \
  using name##_type = __VA_ARGS__;       \
  name##_type name = nullptr;
  FLETCHING_DUCK_FUNCTIONS(FLETCHING_DUCK_MEMBER)
#undef FLETCHING_DUCK_MEMBER

  // Once a process; later calls get what the first one that succeeded got. `path`: a library that
  // exports DuckDB's C API, or "" for the places where one is commonly found. Errors: kUnsupported
  // saying what to install, or that it is another version.
  static Result<const DuckApi*> Load(const std::string& path);
};

// An error of DuckDB by the word it begins with ("Parser Error: ..."), as ours.
Status ErrorOf(const std::string& message);

}  // namespace fletching::duck
