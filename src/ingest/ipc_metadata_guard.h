// Looks at the metadata of one Arrow IPC message before Arrow unpacks it.
//
// The metadata is a Flatbuffer, in which many references may lead to one place: a megabyte can name
// the same field a million times, and the same long text for each. Arrow's verifier finds that
// well-formed, and unpacking it takes gigabytes outside of any memory pool.
#pragma once

#include "fletching/status.h"

#include "base/bytes.h"
#include "ingest/sources.h"

namespace fletching::ingest {

// Counts fields and text of a Schema message, and custom metadata of any message, as often as they
// are referred to. Does not check anything else; Arrow does.
// Errors: kTooLarge, kInvalidArgument (a reference that leaves the message).
Status CheckIpcMetadata(ByteSpan metadata, const DecodeLimits& limits);

// Whether the buffers of a RecordBatch or DictionaryBatch message are compressed, so that it may
// unfold to more than its body. False for what is no such message.
bool IsCompressed(ByteSpan metadata);

}  // namespace fletching::ingest
