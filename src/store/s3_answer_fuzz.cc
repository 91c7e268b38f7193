// Whatever a server answers: an error or a page, never a crash, and no words beyond their bounds.
#include "store/s3_answer.h"

#include <cstdint>
#include <string_view>

#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fletching;
  using namespace fletching::store;
  const ByteSpan bytes(data, size);
  const std::string_view text(static_cast<const char*>(static_cast<const void*>(data)), size);
  const Result<ObjectPage> page = ParseListPage(bytes);
  if (page.ok()) {
    for (const ObjectInfo& object : page->objects) FLETCHING_CHECK(!object.key.empty());
  }
  const Result<std::string> field = ParseAnswerField(bytes, "UploadId");
  FLETCHING_CHECK(!field.ok() || !field->empty());
  const S3Error error = ParseS3Error(text);
  FLETCHING_CHECK(error.code.size() <= 300 && error.message.size() <= 300);
  ParseHttpDateUs(std::string(text));
  return 0;
}
