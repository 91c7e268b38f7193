// JSON as a sequence of events: the one place that knows the parser (Boost.JSON), which sits in
// json_sax.cc behind this interface. UTF-8 is checked; nesting is limited to 32.
//
// Virtual calls, one per value: about a nanosecond each, next to some fifteen for parsing it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "fletching/status.h"

namespace fletching::api {

// Every event answers whether to go on; Fail() says why not.
class JsonEvents {
 public:
  virtual ~JsonEvents() = default;
  virtual bool OnObjectBegin() = 0;
  virtual bool OnObjectEnd() = 0;
  virtual bool OnArrayBegin() = 0;
  virtual bool OnArrayEnd() = 0;
  virtual bool OnName(std::string_view name) = 0;  // of the member that follows
  virtual bool OnString(std::string_view text) = 0;
  virtual bool OnInt(int64_t value) = 0;
  virtual bool OnUint(uint64_t value) = 0;  // only above INT64_MAX
  virtual bool OnDouble(double value) = 0;  // fractions, exponents, integers beyond 64 bits
  virtual bool OnBool(bool value) = 0;
  virtual bool OnNull() = 0;

  // Right after OnArrayBegin: may take strings off the front of the list faster than one event
  // each. `rest`: the text behind the bracket. -> bytes taken; what follows them must be a value.
  virtual size_t TakeFront(std::string_view /*rest*/) { return 0; }

  const std::string& failure() const { return failure_; }

 protected:
  bool Fail(std::string why) {
    failure_ = std::move(why);
    return false;
  }

 private:
  std::string failure_;
};

// Feeds the events of one whole document. Errors: kInvalidArgument, either the handler's own
// words or "not valid JSON at byte N: why".
Status ParseJsonEvents(std::string_view text, JsonEvents* events);

}  // namespace fletching::api
