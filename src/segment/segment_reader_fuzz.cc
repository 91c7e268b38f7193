// Any bytes as a segment whose checksums fit: whatever opens may be searched, scanned and gathered
// without harm. What is read may be nonsense.
#include "segment/segment_reader.h"

#include <algorithm>
#include <span>

#include "arrow/array.h"
#include "arrow/buffer.h"
#include "arrow/type.h"

#include "segment/memory_budget.h"
#include "segment/test_segment_repair.h"

namespace fletching::segment {
namespace {

constexpr int64_t kRowsMax = 16;  // an embedding may be half a megabyte wide
constexpr int kChunksMax = 8;

void GatherAll(const SegmentReader& reader, const RowSelection& rows) {
  for (const LayoutColumn& column : reader.layout().columns) {
    std::vector<std::shared_ptr<arrow::DataType>> types = {column.type};
    for (const auto& wider : {arrow::int64(), arrow::uint64(), arrow::float64()}) {
      if (IsWidening(*column.type, *wider)) types.push_back(wider);
    }
    for (const auto& type : types) {
      std::shared_ptr<arrow::Buffer> values =
          arrow::AllocateBuffer(rows.count * PhysicalOf(*type).width).ValueOrDie();
      ColumnOutput output(type, rows.count, values, false);
      const uint32_t id = column.column_id;
      if (!reader.Gather(std::span(&id, 1), rows, &output).ok()) continue;
      const auto array = output.Finish(nullptr, rows.count);
      if (array.ok()) (void)(*array)->ValidateFull();
    }
    (void)reader.ValueCount(column.column_id);
    (void)reader.ConstantValue(column.column_id);
  }
}

// Looks up keys that the scan showed and gathers what is found.
void FindAll(const SegmentReader& reader, const std::vector<ByteSpan>& keys) {
  std::vector<uint8_t> bytes;
  std::vector<int32_t> offsets{0};
  for (const ByteSpan key : keys) {
    bytes.insert(bytes.end(), key.begin(), key.end());
    offsets.push_back(static_cast<int32_t>(bytes.size()));
  }
  bytes.push_back(0);
  KeyBatch batch;
  batch.count = static_cast<int64_t>(keys.size());
  batch.bytes = bytes.data();
  batch.offsets = offsets.data();
  std::vector<uint64_t> hashes(keys.size() + 1);
  std::vector<const uint8_t*> bodies(keys.size() + 1);
  std::vector<uint32_t> rows(keys.size() + 1);
  HashKeys(batch, reader.footer().hash_seed, hashes.data());
  KeySelection selection;
  selection.keys = &batch;
  selection.hashes = hashes.data();
  selection.hash_seed = reader.footer().hash_seed;
  RowArena arena;
  selection.arena = &arena;
  if (!reader.Find(selection, bodies.data(), rows.data()).ok()) return;
  size_t found = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (bodies[i] == nullptr) continue;
    bodies[found] = bodies[i];
    rows[found++] = rows[i];
  }
  GatherAll(reader, {bodies.data(), rows.data(), nullptr, static_cast<int64_t>(found)});
}

void Digest(const SegmentReader& reader, ByteSpan input) {
  (void)reader.VerifyAll();
  (void)reader.VaryingBytes();
  std::vector<ByteSpan> keys;
  std::vector<const uint8_t*> bodies;
  std::vector<uint32_t> rows;
  uint64_t cursor = 0;
  for (int chunk = 0; chunk < kChunksMax && cursor < reader.end_address(); ++chunk) {
    if (!reader.Scan(&cursor, kRowsMax, &keys, &bodies, &rows).ok()) break;
    GatherAll(reader, {bodies.data(), rows.data(), nullptr, static_cast<int64_t>(bodies.size())});
    FindAll(reader, keys);
  }
  // Keys of the input's own choice.
  const size_t key_bytes =
      reader.layout().key_width < 0 ? 5 : static_cast<size_t>(reader.layout().key_width);
  keys.clear();
  for (size_t at = 0; at + key_bytes <= input.size() && keys.size() < kRowsMax;
       at += key_bytes + 1) {
    keys.push_back(input.subspan(at, key_bytes));
  }
  FindAll(reader, keys);
}

}  // namespace
}  // namespace fletching::segment

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  using namespace fletching::segment;
  const fletching::ByteSpan input(data, bytes);
  const auto file = std::make_shared<MemoryFile>(RepairSegment(input), "fuzz.flseg");
  const auto reader = SegmentReader::Open(file);
  if (reader.ok()) Digest(**reader, input);
  // The same where no row has room in memory.
  const auto cold = SegmentReader::Open(file, std::make_shared<MemoryBudget>(1, 0, nullptr, false));
  if (cold.ok()) Digest(**cold, input);
  return 0;
}
