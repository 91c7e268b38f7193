#include "api/flight/answer_note.h"

#include <string>
#include <utility>

#include "arrow/buffer.h"

#include "base/bytes.h"

namespace fletching::flight {

std::shared_ptr<arrow::Buffer> AnswerNote(uint64_t request, const ReadResult& rows, bool dense) {
  std::string note(2 * sizeof(uint64_t), '\0');
  StoreAs(note.data(), request);
  StoreAs(note.data() + sizeof(uint64_t), rows.version);
  if (dense && rows.found != nullptr) {
    note.append(reinterpret_cast<const char*>(rows.found->data()),
                static_cast<size_t>(rows.found->size()));
  }
  return arrow::Buffer::FromString(std::move(note));
}

}  // namespace fletching::flight
