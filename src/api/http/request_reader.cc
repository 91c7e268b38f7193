#include "api/http/request_reader.h"

#include <string>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>

namespace fletching::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using boost::beast::http::field;
using boost::system::error_code;

// Beast's view of a body: every piece goes to the spool, under a limit.
struct SinkBody {
  struct value_type {
    BodySpool spool;
    int64_t bytes_max = 0;
    Status status;
  };

  class reader {
   public:
    template <bool is_request, class Fields>
    reader(beast::http::header<is_request, Fields>&, value_type& sink) : sink_(sink) {}
    void init(const boost::optional<std::uint64_t>&, error_code& ec) { ec = {}; }
    template <class Buffers>
    size_t put(const Buffers& buffers, error_code& ec) {
      size_t taken = 0;
      for (auto at = asio::buffer_sequence_begin(buffers); at != asio::buffer_sequence_end(buffers);
           ++at) {
        const asio::const_buffer piece = *at;
        if (!Take({static_cast<const uint8_t*>(piece.data()), piece.size()}, ec)) return taken;
        taken += piece.size();
      }
      ec = {};
      return taken;
    }
    void finish(error_code& ec) { ec = {}; }

   private:
    bool Take(ByteSpan bytes, error_code& ec) {
      if (sink_.spool.size_bytes() + static_cast<int64_t>(bytes.size()) > sink_.bytes_max) {
        ec = beast::http::error::body_limit;
        return false;
      }
      sink_.status = sink_.spool.Append(bytes);
      if (!sink_.status.ok()) ec = make_error_code(boost::system::errc::io_error);
      return sink_.status.ok();
    }

    value_type& sink_;
  };
};

using Parser = beast::http::request_parser<SinkBody>;

Method MethodOf(beast::http::verb verb) {
  switch (verb) {
    case beast::http::verb::get:
    case beast::http::verb::head:
      return Method::kGet;
    case beast::http::verb::post:
      return Method::kPost;
    case beast::http::verb::put:
      return Method::kPut;
    case beast::http::verb::patch:
      return Method::kPatch;
    case beast::http::verb::delete_:
      return Method::kDelete;
    default:
      return Method::kOther;
  }
}

std::string_view View(boost::core::string_view text) { return {text.data(), text.size()}; }

// "http://host/path" is as good as "/path".
void SplitTarget(std::string_view target, RequestHead* head) {
  if (target.starts_with("http://") || target.starts_with("https://")) {
    const size_t path = target.find('/', target.find("//") + 2);
    target = path == std::string_view::npos ? "/" : target.substr(path);
  }
  target = target.substr(0, target.find('#'));
  const size_t mark = target.find('?');
  head->path = target.substr(0, mark);
  head->query = mark == std::string_view::npos ? "" : target.substr(mark + 1);
}

}  // namespace

struct RequestReader::Impl {
  void ReadHead();
  std::optional<HttpResponse> FramingFault() const;

  std::optional<Parser> parser;
  RequestHead head;
  bool head_seen = false;
  int64_t header_bytes_max = 0;
  HttpResponse fault;
};

RequestReader::RequestReader() : impl_(std::make_unique<Impl>()) {}
RequestReader::~RequestReader() = default;

void RequestReader::Start(int64_t header_bytes_max) {
  impl_->parser.emplace();
  impl_->parser->header_limit(static_cast<uint32_t>(header_bytes_max));
  impl_->parser->body_limit(boost::none);  // ours depends on the route and is kept by SinkBody
  impl_->head = RequestHead{};
  impl_->head_seen = false;
  impl_->header_bytes_max = header_bytes_max;
}

RequestReader::State RequestReader::Feed(ByteSpan bytes, size_t* used) {
  Impl& impl = *impl_;
  error_code ec;
  *used = impl.parser->put(asio::const_buffer(bytes.data(), bytes.size()), ec);
  if (ec == beast::http::error::need_more) {
    const bool too_long = bytes.size() - *used > static_cast<size_t>(impl.header_bytes_max);
    if (impl.head_seen || !too_long) return State::kNeedMore;
    ec = beast::http::error::header_limit;
  }
  if (ec) {
    const Status& sink = impl.parser->get().body().status;
    if (!sink.ok()) {
      impl.fault = ErrorResponse(sink);
    } else if (ec == beast::http::error::header_limit) {
      impl.fault = ErrorResponse(431, "the request header is too large");
    } else if (ec == beast::http::error::body_limit) {
      impl.fault = ErrorResponse(
          413, "the body is too large: " + std::to_string(impl.parser->get().body().bytes_max) +
                   " bytes are allowed here");
    } else if (ec == beast::http::error::bad_version) {
      impl.fault = ErrorResponse(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    } else {
      impl.fault = ErrorResponse(400, "not a valid HTTP request: " + ec.message());
    }
    return State::kFault;
  }
  if (!impl.head_seen && impl.parser->is_header_done()) {
    impl.head_seen = true;
    impl.ReadHead();
    if (auto fault = impl.FramingFault()) {
      impl.fault = std::move(*fault);
      return State::kFault;
    }
    return State::kHead;
  }
  return impl.parser->is_done() ? State::kDone : State::kBody;
}

void RequestReader::Impl::ReadHead() {
  const auto& message = parser->get();
  head.method = MethodOf(message.method());
  head.method_name = View(message.method_string());
  head.is_head = message.method() == beast::http::verb::head;
  SplitTarget(View(message.target()), &head);
  head.content_type = View(message[field::content_type]);
  head.accept = View(message[field::accept]);
  head.authorization = View(message[field::authorization]);
  head.api_key = View(message["X-API-Key"]);
  if (const auto length = parser->content_length()) {
    // Lengths beyond 2^63 are beyond every limit too.
    head.body_bytes = static_cast<int64_t>(std::min<uint64_t>(*length, INT64_MAX));
  }
  head.has_body = !parser->is_done();
  head.expects_continue = head.has_body && beast::iequals(message[field::expect], "100-continue");
  head.http_1_0 = message.version() == 10;
  head.keep_alive = parser->keep_alive();
}

// Requests whose length two readers could understand differently end the connection.
std::optional<HttpResponse> RequestReader::Impl::FramingFault() const {
  const auto& message = parser->get();
  if (message.version() != 10 && message.version() != 11) {
    return ErrorResponse(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  }
  const size_t hosts = message.count(field::host);
  if (hosts > 1 || (hosts == 0 && message.version() == 11)) {
    return ErrorResponse(400, "a request has exactly one Host header");
  }
  size_t lengths = message.count(field::content_length);
  const size_t encodings = message.count(field::transfer_encoding);
  // Beast takes "1, 1" for 1; others do not.
  if (View(message[field::content_length]).find(',') != std::string_view::npos) lengths = 2;
  if (lengths + encodings > 1 || (encodings > 0 && message.version() == 10)) {
    return ErrorResponse(400, "the request says more than once how long its body is");
  }
  if (encodings > 0 && !beast::iequals(message[field::transfer_encoding], "chunked")) {
    return ErrorResponse(501, "of the transfer encodings only 'chunked' is known here");
  }
  return std::nullopt;
}

void RequestReader::TakeBody(BodySpool spool, int64_t bytes_max) {
  auto& sink = impl_->parser->get().body();
  sink.spool = std::move(spool);
  sink.bytes_max = bytes_max;
  impl_->parser->eager(true);
}

const RequestHead& RequestReader::head() const { return impl_->head; }
BodySpool& RequestReader::spool() { return impl_->parser->get().body().spool; }
HttpResponse RequestReader::fault() const { return impl_->fault; }
int64_t RequestReader::body_bytes_left() const {
  return static_cast<int64_t>(impl_->parser->content_length_remaining().value_or(0));
}

}  // namespace fletching::http
