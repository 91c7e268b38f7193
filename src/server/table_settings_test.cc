// Tables of a configuration file, and files of older programs.
#include "server/table_settings.h"

#include <fstream>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "server/config.h"

namespace fletching::server {
namespace {

std::string File(const std::string& text) {
  static int count = 0;
  const std::string path = testing::TempDir() + "/tables" + std::to_string(count++) + ".yaml";
  std::ofstream(path) << text;
  return path;
}

std::string WhyNot(const std::string& text) {
  const auto read = ReadTableSettings(File(text));
  return read.ok() ? "taken" : read.status().message();
}

constexpr char kBoth[] =
    "tables:\n"
    "  docs:\n"
    "    source:\n"
    "      s3: {bucket: features, prefix: docs, region: eu-west-1, endpoint: 'http://a:7070'}\n"
    "    poll_interval: 5m\n"
    "    parts: 8\n"
    "    key: [user, item]\n"
    "    columns:\n"
    "      user: {dtype: utf8}\n"
    "      item: {dtype: int64, nullable: false}\n"
    "      score: {dtype: float32, strict: false}\n"
    "  people:\n"
    "    source: {local: {path: /data/people}}\n"
    "    layout: plain\n"
    "    min_rows_ratio: 0.25\n"
    "    ttl: 30d\n"
    "    event_time: at\n"
    "    key: id\n"
    "    columns: {id: {dtype: utf8}, at: {dtype: 'timestamp[us, UTC]'}}\n";

TEST(TableSettings, HoldEverythingThatCanBeSaid) {
  const auto tables = ReadTableSettings(File(kBoth));
  ASSERT_TRUE(tables.ok()) << tables.status();
  ASSERT_EQ(tables->size(), 2u);
  const pull::PulledTable& docs = (*tables)[0];
  EXPECT_EQ(docs.name, "docs");
  EXPECT_EQ(docs.source.kind, pull::SourceSpec::Kind::kS3);
  EXPECT_EQ(docs.source.bucket, "features");
  EXPECT_EQ(docs.source.prefix, "docs");
  EXPECT_EQ(docs.source.region, "eu-west-1");
  EXPECT_EQ(docs.source.endpoint, "http://a:7070");
  EXPECT_EQ(docs.poll_interval_ms, 300'000);
  EXPECT_EQ(docs.parts, 8);
  EXPECT_EQ(docs.min_rows_ratio, 0.5);
  EXPECT_EQ(docs.layout, pull::Layout::kDated);
  EXPECT_EQ(docs.schema.key, (std::vector<std::string>{"user", "item"}));
  EXPECT_FALSE(docs.schema.columns[0].nullable);  // a key
  EXPECT_TRUE(docs.schema.columns[2].nullable);
  EXPECT_FALSE(docs.schema.columns[2].strict);
  const pull::PulledTable& people = (*tables)[1];
  EXPECT_EQ(people.source.kind, pull::SourceSpec::Kind::kLocal);
  EXPECT_EQ(people.source.path, "/data/people");
  EXPECT_EQ(people.layout, pull::Layout::kPlain);
  EXPECT_EQ(people.min_rows_ratio, 0.25);
  EXPECT_EQ(people.schema.ttl_ms, int64_t{30} * 86'400'000);
  EXPECT_EQ(people.schema.event_time, "at");
  EXPECT_TRUE(ReadTableSettings(File("data_dir: x\n"))->empty());
  EXPECT_TRUE(ReadTableSettings(File("tables:\n"))->empty());
}

TEST(TableSettings, HoldIcebergTables) {
  const auto source = [](const std::string& members) {
    return ReadTableSettings(File("tables:\n  docs: {source: {iceberg: {" + members +
                                  "}}, key: id, columns: {id: {dtype: utf8}}}\n"))
        ->at(0)
        .source;
  };
  const auto located = source("metadata: 's3://b/t', region: r, endpoint: e, timeout: 5s");
  EXPECT_EQ(located.kind, pull::SourceSpec::Kind::kIceberg);
  EXPECT_EQ(located.path, "s3://b/t");
  EXPECT_EQ(located.region, "r");
  EXPECT_EQ(located.endpoint, "e");
  EXPECT_EQ(located.silence_ms_max, 5000);
  const auto named = source("table: db.t, catalog: {type: sql, uri: 'sqlite:///x'}");
  EXPECT_EQ(named.table, "db.t");
  EXPECT_EQ(named.catalog,
            (std::map<std::string, std::string>{{"type", "sql"}, {"uri", "sqlite:///x"}}));
}

TEST(TableSettings, KnowEveryLayout) {
  const auto layout = [](const std::string& name) {
    return ReadTableSettings(
               File("tables:\n  docs: {source: {local: {path: /x}}, key: id, layout: " + name +
                    ", columns: {id: {dtype: utf8}}}\n"))
        ->at(0)
        .layout;
  };
  EXPECT_EQ(layout("dated"), pull::Layout::kDated);
  EXPECT_EQ(layout("plain"), pull::Layout::kPlain);
  EXPECT_EQ(layout("hive"), pull::Layout::kHive);
}

TEST(TableSettings, NameWhatIsWrongAndWhere) {
  const auto expect = [](const std::string& members, const std::string& words) {
    const std::string why = WhyNot("tables:\n  docs:\n" + members);
    EXPECT_NE(why.find(words), std::string::npos) << why;
  };
  const std::string source = "    source: {local: {path: /x}}\n";
  const std::string rest = "    key: [id]\n    columns: {id: {dtype: utf8}}\n";
  EXPECT_EQ(WhyNot("tables:\n  docs:\n" + source + rest), "taken");
  expect(rest, ":3: tables.docs: 'source' is missing");
  expect(source + "    keys: [id]\n" + rest, "'keys' is not known (did you mean 'key'?)");
  expect("    source: {local: {path: /x}, s3: {bucket: b}}\n" + rest,
         "must be one of s3, local and iceberg");
  expect("    source: {gcs: {}}\n" + rest, "'gcs' is not known");
  expect("    source: {s3: {prefix: x}}\n" + rest, "tables.docs.source.s3: 'bucket' is missing");
  expect(source + "    poll_interval: often\n" + rest, "tables.docs.poll_interval: ");
  expect(source + "    poll_interval: 0\n" + rest, "0 is no interval");
  expect(source + "    parts: 0\n" + rest, ":4: tables.docs.parts: '0' is no number from 1 to 256");
  expect(source + "    min_rows_ratio: 2\n" + rest, "tables.docs.min_rows_ratio");
  expect(source + "    layout: hives\n" + rest, "'hives' is none of dated, plain and hive");
  expect(source + "    key: [id]\n    columns: {id: {dtype: text}}\n", "columns.id.dtype: ");
  expect(source + "    key: [id]\n    columns: {id: {dtype: utf8, nul: no}}\n", "'nul' is not");
  expect(source + "    key: [other]\n    columns: {id: {dtype: utf8}}\n", "other");
  const std::string iceberg = "    source: {iceberg: ";
  expect(iceberg + "{}}\n" + rest, "it needs 'metadata', or 'table' and 'catalog'");
  expect(iceberg + "{table: a.b}}\n" + rest, "it needs 'metadata', or 'table' and 'catalog'");
  expect(iceberg + "{metadata: x, catalog: {}, table: a.b}}\n" + rest, "it needs 'metadata', or");
  expect(iceberg + "{metadata: x, timeout: 0s}}\n" + rest, "iceberg.timeout: 0 is no time");
  expect(iceberg + "{metadata: x}}\n    layout: plain\n" + rest, "an Iceberg table has none");
  EXPECT_NE(WhyNot("tables:\n  ../docs:\n" + source + rest).find("tables.../docs"),
            std::string::npos);
  EXPECT_NE(WhyNot("tables: 5\n").find("must be a map of tables"), std::string::npos);
}

Result<LoadedConfig> Load(const std::string& text) {
  const std::string file = File(text);
  const std::vector<std::string_view> arguments = {"--config", file};
  return LoadConfig(arguments, {});
}

TEST(Dialects, OfTheOlderGenerationStartsThisServer) {
  const auto loaded = Load(
      std::string("server:\n  host: 0.0.0.0\n  port: 9999\n  data_dir: /var/lib/murr\n") + kBoth);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.http.host, "0.0.0.0");
  EXPECT_EQ(loaded->config.http.port, 9999);
  EXPECT_EQ(loaded->config.data_dir, "/var/lib/murr");
  EXPECT_EQ(loaded->config.tables.size(), 2u);
  EXPECT_TRUE(loaded->warnings.empty());
}

TEST(Dialects, OfTheNewerGenerationStartsThisServer) {
  const auto loaded = Load(
      "server:\n"
      "  http: {host: 127.0.0.2, port: 8088, max_payload_size: 1048576}\n"
      "  grpc: {host: 127.0.0.3, port: 8089}\n"
      "storage:\n"
      "  path: /data/murr\n"
      "  mmap: {bloom_bits_per_key: 16, read_method: par_get}\n");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.http.host, "127.0.0.2");
  EXPECT_EQ(loaded->config.http.port, 8088);
  EXPECT_EQ(loaded->config.flight.host, "127.0.0.3");
  EXPECT_EQ(loaded->config.flight.port, 8089);
  EXPECT_EQ(loaded->config.http.limits.data_bytes_max, 1 << 20);
  EXPECT_EQ(loaded->config.data_dir, "/data/murr");
  ASSERT_EQ(loaded->warnings.size(), 2u);
  EXPECT_NE(loaded->warnings[0].find("storage.mmap.bloom_bits_per_key changes nothing here"),
            std::string::npos);
}

}  // namespace
}  // namespace fletching::server
