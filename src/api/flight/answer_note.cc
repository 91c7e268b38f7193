#include "api/flight/answer_note.h"

#include <string>
#include <utility>

#include "arrow/buffer.h"
#include "arrow/record_batch.h"

#include "base/bytes.h"

namespace fletching::flight {

std::shared_ptr<arrow::Buffer> AnswerNote(uint64_t request, const ReadResult& rows, bool dense) {
  std::string note(2 * sizeof(uint64_t), '\0');
  StoreAs(note.data(), request);
  StoreAs(note.data() + sizeof(uint64_t), rows.version);
  if (dense && rows.found != nullptr) {
    const int64_t key_count = rows.batch->num_rows();
    note.append(reinterpret_cast<const char*>(rows.found->data()),
                static_cast<size_t>((key_count + 7) / 8));
    // The bits behind the last key are whatever was at hand.
    if (key_count % 8 != 0) {
      const auto last = static_cast<uint8_t>(note.back());
      note.back() = static_cast<char>(last & ((1u << (key_count % 8)) - 1));
    }
  }
  return arrow::Buffer::FromString(std::move(note));
}

}  // namespace fletching::flight
