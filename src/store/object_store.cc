#include "store/object_store.h"

#include <cstdlib>
#include <string_view>
#include <utility>

#include "store/file_store.h"
#include "store/s3_store.h"

namespace fletching::store {
namespace {

// "s3://bucket/prefix?region=eu-west-1" in its parts.
struct StoreUrl {
  std::string scheme = {};
  std::string host = {};
  std::string path = {};  // without the '/' at its ends
  std::vector<std::pair<std::string, std::string>> query = {};
};

Result<StoreUrl> ParseUrl(const std::string& text) {
  StoreUrl url;
  const size_t colon = text.find("://");
  if (colon == std::string::npos) {
    return InvalidArgument("a store is named as s3://bucket/prefix or file:///folder");
  }
  url.scheme = text.substr(0, colon);
  std::string_view rest = std::string_view(text).substr(colon + 3);
  const size_t question = rest.find('?');
  std::string_view query = question == std::string_view::npos ? "" : rest.substr(question + 1);
  rest = rest.substr(0, question);
  const size_t slash = std::min(rest.find('/'), rest.size());
  url.host = rest.substr(0, slash);
  url.path = rest.substr(slash);
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    const size_t equals = std::min(pair.find('='), pair.size());
    url.query.emplace_back(pair.substr(0, equals), pair.substr(std::min(equals + 1, pair.size())));
  }
  if (url.host.find('@') != std::string::npos) {
    // Not repeated here: a log would keep it.
    return InvalidArgument(
        "the store's URL has credentials in it; give them by settings or the environment instead");
  }
  return url;
}

std::string FirstOf(const std::string& given, std::initializer_list<const char*> names) {
  if (!given.empty()) return given;
  for (const char* name : names) {
    const char* const value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return {};
}

// The settings that may stand in the URL.
Status TakeQuery(const StoreUrl& url, ObjectStoreOptions* options) {
  for (const auto& [name, value] : url.query) {
    if (name == "region") {
      options->region = value;
    } else if (name == "endpoint") {
      options->endpoint = value;
    } else if (name == "anonymous" && (value == "true" || value == "false")) {
      options->anonymous = value == "true";
    } else {
      return InvalidArgument("'" + name + "' in the URL of bucket '" + url.host +
                             "' is none of region=, endpoint=, anonymous=true");
    }
  }
  return Status::OK();
}

bool IsBucketName(const std::string& name) {
  return name.size() >= 3 && name.size() <= 63 &&
         name.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyz0123456789.-_"
             "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == std::string::npos;
}

Result<S3Place> MakePlace(const StoreUrl& url, const ObjectStoreOptions& options) {
  if (!IsBucketName(url.host)) {
    return InvalidArgument("'" + url.host +
                           "' is no bucket name: 3 to 63 letters, digits, '-', '.'");
  }
  S3Place place{.bucket = url.host, .prefix = url.path};
  if (!place.prefix.empty()) place.prefix += '/';
  place.region = FirstOf(options.region, {"AWS_REGION", "AWS_DEFAULT_REGION"});
  if (place.region.empty()) place.region = "us-east-1";
  std::string endpoint = FirstOf(options.endpoint, {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"});
  // A bucket with dots does not fit the certificate of *.s3.region.amazonaws.com.
  place.path_style =
      options.path_style.value_or(!endpoint.empty() || url.host.find('.') != std::string::npos);
  if (endpoint.empty()) endpoint = "https://s3." + place.region + ".amazonaws.com";
  while (endpoint.ends_with('/')) endpoint.pop_back();
  const size_t colon = endpoint.find("://");
  place.scheme = endpoint.substr(0, std::min(colon, endpoint.size()));
  place.host = colon == std::string::npos ? "" : endpoint.substr(colon + 3);
  if ((place.scheme != "http" && place.scheme != "https") || place.host.empty() ||
      place.host.find_first_of("/?#@ ") != std::string::npos) {
    return InvalidArgument(
        "the S3 endpoint has to be http://host:port or https://host:port, without path or "
        "credentials");
  }
  place.endpoint = endpoint;
  // The port that goes without saying is not sent, so it is not signed.
  for (const char* port : {place.scheme == "http" ? ":80" : ":443"}) {
    if (place.host.ends_with(port)) place.host.resize(place.host.size() - std::string(port).size());
  }
  if (!place.path_style) place.host = place.bucket + "." + place.host;
  return place;
}

Status CheckOptions(const ObjectStoreOptions& options) {
  const bool fits = options.connections_max >= 1 && options.connections_max <= 256 &&
                    options.part_bytes >= 4096 && options.part_bytes <= (1ULL << 30) &&
                    options.connect_timeout_ms > 0 && options.stall_timeout_ms > 0 &&
                    options.deadline_ms > 0 && options.backoff_first_ms > 0 &&
                    options.backoff_max_ms >= options.backoff_first_ms;
  if (fits) return Status::OK();
  return InvalidArgument(
      "object store options: times are above 0, connections 1 to 256, parts 4 KiB to 1 GiB");
}

}  // namespace

Result<std::unique_ptr<ObjectStore>> ObjectStore::Open(const std::string& url,
                                                       const ObjectStoreOptions& options) {
  ARROW_RETURN_NOT_OK(CheckOptions(options));
  ARROW_ASSIGN_OR_RAISE(StoreUrl parts, ParseUrl(url));
  if (parts.scheme == "file") {
    if (!parts.host.empty() || parts.path.size() < 2 || !parts.query.empty()) {
      return InvalidArgument("a folder is named as file:///absolute/path");
    }
    while (parts.path.ends_with('/')) parts.path.pop_back();
    return std::make_unique<FileStore>(parts.path, options);
  }
  if (parts.scheme != "s3") {
    return Unsupported("there is no store for '" + parts.scheme +
                       "://'; s3:// and file:// are known");
  }
  while (parts.path.starts_with('/')) parts.path.erase(0, 1);
  while (parts.path.ends_with('/')) parts.path.pop_back();
  ObjectStoreOptions settings = options;
  ARROW_RETURN_NOT_OK(TakeQuery(parts, &settings));
  ARROW_ASSIGN_OR_RAISE(S3Place place, MakePlace(parts, settings));
  return S3Store::Make(std::move(place), settings);
}

Result<std::vector<ObjectInfo>> ObjectStore::ListAll(const std::string& prefix,
                                                     const std::string& start_after,
                                                     const CallOptions& call) {
  std::vector<ObjectInfo> all;
  ListOptions options{.start_after = start_after, .call = call};
  do {
    ARROW_ASSIGN_OR_RAISE(ObjectPage page, List(prefix, options));
    std::move(page.objects.begin(), page.objects.end(), std::back_inserter(all));
    if (!page.next_page.empty() && page.next_page == options.page) {
      return Unavailable("cannot list " + url() + prefix + ": the same page came twice");
    }
    options.page = std::move(page.next_page);
  } while (!options.page.empty());
  return all;
}

}  // namespace fletching::store
