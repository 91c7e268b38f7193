// A manifest says after decoding what it said before, and nothing when a byte of it was touched.
#include "format/manifest.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "base/checksum.h"

namespace fletching::format {
namespace {

Manifest Sample() {
  Manifest manifest;
  manifest.table_name = "docs";
  manifest.number = 7;
  manifest.commit = 41;
  manifest.log_number = 3;
  manifest.next_segment = 12;
  manifest.next_column_id = 5;
  manifest.hash_seed = 0x0123456789abcdef;
  manifest.schema.columns = {
      {.name = "id", .type = arrow::utf8(), .nullable = false, .strict = true, .id = 1},
      {.name = "at", .type = arrow::timestamp(arrow::TimeUnit::MILLI, "UTC"), .id = 2},
      {.name = "vector",
       .type = arrow::fixed_size_list(arrow::float32(), 8),
       .strict = false,
       .id = 4}};
  manifest.schema.key = {"id"};
  manifest.schema.event_time = "at";
  manifest.schema.ttl_ms = 86'400'000;
  manifest.schema.metadata = {{"dialect", "murr"}, {"empty", ""}};
  manifest.segments = {{.number = 2, .row_count = 10, .file_bytes = 9000, .newest_time_us = -5},
                       {.number = 11, .row_count = 1, .file_bytes = 8000, .newest_time_us = 99}};
  return manifest;
}

// Of a table that was loaded as a whole, twice.
Manifest Loaded() {
  Manifest manifest = Sample();
  manifest.generation = "2026-11-02";
  manifest.loaded_time_us = 1'795'000'000'000'000;
  manifest.partition_count = 8;
  manifest.rejected = "2026-11-03";
  manifest.previous = ManifestGeneration{.name = "2026-11-01",
                                         .loaded_time_us = 1'794'000'000'000'000,
                                         .partition_count = 2,
                                         .schema = manifest.schema,
                                         .segments = {{.number = 5, .row_count = 3}}};
  manifest.previous->schema.columns.pop_back();
  return manifest;
}

void Resign(std::vector<uint8_t>* file) {
  auto header = LoadAs<ManifestHeader>(file->data());
  header.payload_bytes = file->size() - sizeof(header);
  header.payload_checksum = Checksum(ByteSpan(*file).subspan(sizeof(header)));
  header.checksum =
      Checksum({reinterpret_cast<const uint8_t*>(&header), offsetof(ManifestHeader, checksum)});
  StoreAs(file->data(), header);
}

TEST(Manifest, SaysAfterDecodingWhatItSaidBefore) {
  const Manifest sample = Sample();
  const std::vector<uint8_t> file = EncodeManifest(sample);
  const auto decoded = DecodeManifest(file, "m");
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->table_name, "docs");
  EXPECT_EQ(decoded->commit, 41u);
  EXPECT_EQ(decoded->next_column_id, 5u);
  EXPECT_EQ(decoded->hash_seed, sample.hash_seed);
  ASSERT_EQ(decoded->schema.columns.size(), 3u);
  EXPECT_FALSE(decoded->schema.columns[0].nullable);
  EXPECT_FALSE(decoded->schema.columns[2].strict);
  EXPECT_EQ(decoded->schema.columns[2].id, 4u);
  EXPECT_TRUE(decoded->schema.columns[1].type->Equals(*sample.schema.columns[1].type));
  EXPECT_EQ(decoded->schema.metadata, sample.schema.metadata);
  EXPECT_EQ(decoded->segments[0].newest_time_us, -5);
  EXPECT_EQ(EncodeManifest(*decoded), file);
}

TEST(Manifest, KeepsBothGenerations) {
  const std::vector<uint8_t> file = EncodeManifest(Loaded());
  EXPECT_EQ(LoadAs<ManifestHeader>(file.data()).version, 2u);
  EXPECT_EQ(LoadAs<ManifestHeader>(EncodeManifest(Sample()).data()).version, 1u);
  const auto decoded = DecodeManifest(file, "m");
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->generation, "2026-11-02");
  EXPECT_EQ(decoded->rejected, "2026-11-03");
  EXPECT_EQ(decoded->partition_count, 8u);
  EXPECT_EQ(decoded->previous->partition_count, 2u);
  EXPECT_EQ(decoded->loaded_time_us, 1'795'000'000'000'000);
  ASSERT_TRUE(decoded->previous.has_value());
  EXPECT_EQ(decoded->previous->name, "2026-11-01");
  EXPECT_EQ(decoded->previous->schema.columns.size(), 2u);
  EXPECT_EQ(decoded->previous->segments[0].number, 5u);
  EXPECT_EQ(EncodeManifest(*decoded), file);
}

TEST(Manifest, IsRefusedWithAnyBitTurnedOver) {
  const std::vector<uint8_t> good = EncodeManifest(Loaded());
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::vector<uint8_t> file = good;
    file[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    const auto decoded = DecodeManifest(file, "name.flman");
    ASSERT_FALSE(decoded.ok()) << "bit " << bit;
    EXPECT_NE(decoded.status().message().find("name.flman"), std::string::npos);
  }
}

TEST(Manifest, IsRefusedAtEveryShorterLengthEvenIfItsChecksumsFit) {
  const std::vector<uint8_t> good = EncodeManifest(Loaded());
  for (size_t bytes = 0; bytes < good.size(); ++bytes) {
    std::vector<uint8_t> file(good.begin(), good.begin() + static_cast<ptrdiff_t>(bytes));
    if (bytes >= sizeof(ManifestHeader)) Resign(&file);
    EXPECT_FALSE(DecodeManifest(file, "m").ok()) << bytes;
  }
  std::vector<uint8_t> longer = good;
  longer.push_back(0);
  Resign(&longer);
  EXPECT_FALSE(DecodeManifest(longer, "m").ok());
}

TEST(Manifest, OfANewerVersionIsNamedSo) {
  std::vector<uint8_t> file = EncodeManifest(Sample());
  StoreAs(file.data() + offsetof(ManifestHeader, version), kManifestVersion + 1);
  const auto decoded = DecodeManifest(file, "m");
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(CodeOf(decoded.status()), ErrorCode::kUnsupported);
  EXPECT_NE(decoded.status().message().find("newer"), std::string::npos);
}

}  // namespace
}  // namespace fletching::format
