// HTTP requests of any bytes: faults are answers, and how the bytes are cut into pieces does not
// change what is read.
#include "api/http/request_reader.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/http/router.h"
#include "base/check.h"

namespace {

using fletching::http::BodySpool;
using fletching::http::RequestReader;
using State = RequestReader::State;

// Everything that was read, as text, so that two ways of reading can be compared.
std::string ReadAll(std::string_view text, size_t piece) {
  fletching::http::SpoolLimits limits;
  RequestReader reader;
  std::string seen;
  size_t start = 0;
  size_t end = 0;
  bool inside = false;
  while (true) {
    // A request that ends in the middle is as bad as a faulty one, and which of the two it is
    // called may depend on the pieces.
    if (start == end && end == text.size()) return inside ? seen + "fault" : seen;
    if (start == end) end = std::min(text.size(), end + piece);
    if (!inside) reader.Start(4096);
    inside = true;
    size_t used = 0;
    const State state = reader.Feed(fletching::AsBytes(text.substr(start, end - start)), &used);
    start += used;
    if (state == State::kFault) {
      FLETCHING_CHECK(reader.fault().status >= 400);
      return seen + "fault";
    }
    bool done = state == State::kDone;
    if (state == State::kHead) {
      const auto& head = reader.head();
      seen.append(head.method_name).append(head.path).append(head.query).append(head.accept);
      (void)fletching::http::FindRoute(head.method, head.path);
      (void)fletching::http::ParseQuery(head.query);
      reader.TakeBody(BodySpool(&limits), 1 << 16);
      done = !head.has_body;
    }
    if (done) {
      seen.append(reader.spool().Finish()->text()).append("|");
      inside = false;
    }
    if (state == State::kNeedMore && used == 0) {
      if (end == text.size()) return seen + "fault";
      end = std::min(text.size(), end + piece);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  const std::string_view text(reinterpret_cast<const char*>(data), bytes);
  const std::string whole = ReadAll(text, bytes + 1);
  const std::string pieces = ReadAll(text, 7);
  FLETCHING_CHECK(whole == pieces);
  return 0;
}
