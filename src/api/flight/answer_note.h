// What goes with a batch of an answer as app_metadata, in little-endian bytes:
//
//   u64 request    number of the batch of keys, from 0
//   u64 version    commit that the answer shows
//   found bits     of a dense answer: bit i = key i was found, least significant bit first
#pragma once

#include <cstdint>
#include <memory>

#include "arrow/type_fwd.h"

#include "fletching/request.h"

namespace fletching::flight {

// `dense`: with the found bits of `rows`.
std::shared_ptr<arrow::Buffer> AnswerNote(uint64_t request, const ReadResult& rows, bool dense);

}  // namespace fletching::flight
