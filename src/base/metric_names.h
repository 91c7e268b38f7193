// Every metric there is: name, what it says, labels. docs/operations.md explains each to whoever
// watches a server, and a test compares the two.
//
// Names by the conventions of Prometheus: base units, counters end in _total. Labels have few
// values (see Metrics::Get). A metric whose definition nobody uses yet is not exported.
#pragma once

#include "base/metrics.h"

namespace fletching::metric {

// The HTTP door (api/http).
inline constexpr MetricDefinition<Counter> kHttpRequests = {
    "fletching_http_requests_total", "Requests answered.", {"route", "method", "code"}};
inline constexpr MetricDefinition<DurationHistogram> kHttpDuration = {
    "fletching_http_request_duration_seconds",
    "From the first byte of a request to the last byte of its answer.",
    {"route"}};
inline constexpr MetricDefinition<DurationHistogram> kStageDuration = {
    "fletching_stage_duration_seconds",
    "Stages of requests that succeeded, by door.",
    {"door", "stage"}};
inline constexpr MetricDefinition<Gauge> kInflight = {
    "fletching_inflight_requests", "Requests between their header and their last byte out."};
inline constexpr MetricDefinition<Counter> kRejected = {
    "fletching_rejected_requests_total", "Requests and connections turned away.", {"reason"}};

// Tables (table, engine).
inline constexpr MetricDefinition<Counter> kFetchKeys = {
    "fletching_fetch_keys_total",
    "Keys looked up, by whether there was a row.",
    {"table", "result"}};
inline constexpr MetricDefinition<Counter> kRowsWritten = {
    "fletching_rows_written_total", "Rows of acknowledged writes.", {"table"}};
inline constexpr MetricDefinition<Counter> kCompactions = {"fletching_compactions_total",
                                                           "Runs of segments merged into one."};
inline constexpr MetricDefinition<Counter> kMaintenanceFailures = {
    "fletching_maintenance_failures_total",
    "Rounds of background work on a table that failed and are tried again.",
    {"table"}};
inline constexpr MetricDefinition<Gauge> kTableHealthy = {
    "fletching_table_healthy", "1; 0 when the table's files are damaged.", {"table"}};
inline constexpr MetricDefinition<Gauge> kTableRows = {
    "fletching_table_rows", "Rows; an upper bound while compaction is due.", {"table"}};
inline constexpr MetricDefinition<Gauge> kTableBytes = {
    "fletching_table_bytes", "Bytes of a table, by where they are.", {"table", "tier"}};
inline constexpr MetricDefinition<Gauge> kTableSegments = {
    "fletching_table_segments", "Segment files of a table.", {"table"}};
inline constexpr MetricDefinition<Counter> kBudgetRows = {
    "fletching_budget_rows_total",
    "Rows found in segments that do not fit into the memory budget, by where they came from.",
    {"from"}};
inline constexpr MetricDefinition<Gauge> kBudgetBytes = {
    "fletching_memory_budget_bytes",
    "Bytes of segments under a memory budget, by how they are kept.",
    {"part"}};

// Loads and object storage.
inline constexpr MetricDefinition<Gauge> kTableLastLoad = {
    "fletching_table_last_load_timestamp_seconds",
    "When the generation that serves was loaded, in seconds since 1970.",
    {"table"}};
inline constexpr MetricDefinition<Counter> kLoadFailures = {
    "fletching_load_failures_total", "Loads that failed or were refused.", {"table", "reason"}};
inline constexpr MetricDefinition<Gauge> kUploadLag = {
    "fletching_upload_lag_seconds", "Age of the oldest acknowledged write not yet uploaded."};
inline constexpr MetricDefinition<Counter> kCacheHits = {
    "fletching_cache_hits_total",
    "Look-ups of a replica's segments that found all they need on its disk."};
inline constexpr MetricDefinition<Counter> kCacheMisses = {
    "fletching_cache_misses_total",
    "Look-ups of a replica's segments that fetched something from the remote."};
inline constexpr MetricDefinition<Gauge> kCacheBytes = {
    "fletching_cache_bytes", "Disk that a replica's segments take, whole ones and parts."};

// The program (server).
inline constexpr MetricDefinition<Gauge> kBuildInfo = {
    "fletching_build_info", "1; the version that runs is its label.", {"version"}};
inline constexpr MetricDefinition<Gauge> kDiskAvailable = {
    "fletching_disk_available_bytes", "Free space of the data folder's file system."};
inline constexpr MetricDefinition<Gauge> kDiskSize = {"fletching_disk_size_bytes",
                                                      "Size of the data folder's file system."};
inline constexpr MetricDefinition<Counter> kProcessCpu = {"process_cpu_seconds_total",
                                                          "CPU time, user and system."};
inline constexpr MetricDefinition<Gauge> kProcessResident = {
    "process_resident_memory_bytes", "Resident memory, mapped files included."};
inline constexpr MetricDefinition<Gauge> kProcessVirtual = {"process_virtual_memory_bytes",
                                                            "Address space."};
inline constexpr MetricDefinition<Gauge> kProcessOpenFds = {"process_open_fds",
                                                            "Open file descriptors."};
inline constexpr MetricDefinition<Gauge> kProcessMaxFds = {
    "process_max_fds", "File descriptors the process may open."};
inline constexpr MetricDefinition<Gauge> kProcessStart = {
    "process_start_time_seconds", "Start of the process, in seconds since 1970."};

}  // namespace fletching::metric
