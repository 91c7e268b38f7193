// The object store on a command line, for tests: reads commands from stdin, one a line with tabs
// between its words, and answers each with one line of JSON.
//
//   object_tool URL [--endpoint=... --access_key=... --stall_timeout_ms=... and so on]
//
// Linked with libparquet too, as fletchingd is: its libcrypto and libcurl's have to live together.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "boost/json.hpp"

#include "base/checksum.h"
#include "store/object_store.h"

namespace fletching::store {
namespace {

namespace json = boost::json;
using Words = std::vector<std::string>;

std::vector<uint8_t> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void WriteFile(const std::string& path, const std::vector<uint8_t>& bytes) {
  std::ofstream file(path, std::ios::binary);
  for (const uint8_t byte : bytes) file.put(static_cast<char>(byte));
}

json::object ToJson(const ObjectInfo& info) {
  return {{"key", info.key},
          {"size", info.size_bytes},
          {"etag", info.etag},
          {"modified_us", info.modified_us}};
}

json::object ToJson(const Status& status) {
  if (status.ok()) return {};
  return {{"error", CodeName(CodeOf(status))}, {"message", status.message()}};
}

json::object ToJson(const Result<ObjectInfo>& info) {
  return info.ok() ? ToJson(*info) : ToJson(info.status());
}

std::string At(const Words& words, size_t index) {
  return index < words.size() ? words[index] : "";
}

json::object Get(ObjectStore* store, const Words& words, const CallOptions& call) {
  GetOptions options{.call = call};
  if (!At(words, 3).empty()) options.offset_bytes = std::stoull(words[3]);
  if (!At(words, 4).empty()) options.size_bytes = std::stoull(words[4]);
  options.if_match = At(words, 5);
  if (!At(words, 6).empty()) options.bytes_max = std::stoull(words[6]);
  const Result<ObjectBytes> got = store->Get(words[1], options);
  if (!got.ok()) return ToJson(got.status());
  WriteFile(words[2], got->bytes);
  return ToJson(got->info);
}

// ranges KEY ETAG TARGET OFFSET:BYTES...; the ranges one after another go to TARGET.
json::object GetRanges(ObjectStore* store, const Words& words, const CallOptions& call) {
  std::vector<std::pair<uint64_t, uint64_t>> wanted;
  uint64_t all_bytes = 0;
  for (size_t i = 4; i < words.size(); ++i) {
    const size_t colon = words[i].find(':');
    wanted.emplace_back(std::stoull(words[i]), std::stoull(words[i].substr(colon + 1)));
    all_bytes += wanted.back().second;
  }
  std::vector<uint8_t> bytes(all_bytes);
  std::vector<RangeRead> ranges;
  uint64_t at = 0;
  for (const auto& [offset, size] : wanted) {
    ranges.push_back({offset, std::span(bytes).subspan(at, size)});
    at += size;
  }
  const Status status = store->GetRanges(words[1], words[2], ranges, call);
  if (status.ok()) WriteFile(words[3], bytes);
  return ToJson(status);
}

json::object List(ObjectStore* store, const Words& words, const CallOptions& call) {
  ListOptions options{.start_after = At(words, 2), .call = call};
  if (!At(words, 3).empty()) options.entries_max = std::stoi(words[3]);
  options.shallow = At(words, 4) == "shallow";
  json::array pages;
  do {
    const Result<ObjectPage> page = store->List(At(words, 1), options);
    if (!page.ok()) return ToJson(page.status());
    json::array objects;
    for (const ObjectInfo& info : page->objects) objects.push_back(ToJson(info));
    json::array folders;
    for (const std::string& folder : page->folders) folders.emplace_back(folder);
    pages.push_back(json::object{{"objects", objects}, {"folders", folders}});
    options.page = page->next_page;
  } while (!options.page.empty());
  return {{"pages", pages}};
}

json::object Run(ObjectStore* store, const Words& words, const CallOptions& call) {
  const std::string& verb = words[0];
  if (verb == "head") return ToJson(store->Head(words[1], call));
  if (verb == "get") return Get(store, words, call);
  if (verb == "ranges") return GetRanges(store, words, call);
  if (verb == "list") return List(store, words, call);
  if (verb == "download") {
    return ToJson(store->GetToFile(words[1], words[2], {.if_match = At(words, 3), .call = call}));
  }
  if (verb == "put") return ToJson(store->Put(words[1], ReadFile(words[2]), call));
  if (verb == "upload") return ToJson(store->PutFile(words[1], words[2], call));
  if (verb == "create") return ToJson(store->PutIfAbsent(words[1], ReadFile(words[2]), call));
  if (verb == "replace") {
    return ToJson(store->PutIfMatch(words[1], ReadFile(words[2]), words[3], call));
  }
  if (verb == "delete") {
    return ToJson(store->Delete(std::span(words).subspan(1), call));
  }
  return {{"error", "usage"}, {"message", verb}};
}

// Two stores write the same new key, then replace the same etag; counts who won each round.
json::object Race(const std::string& url, const ObjectStoreOptions& options, const Words& words) {
  const int rounds = std::stoi(words[2]);
  std::atomic<int> bad_rounds{0};
  std::string trouble;
  std::map<std::string, int> wins;
  const auto first = ObjectStore::Open(url, options).ValueOrDie();
  const auto second = ObjectStore::Open(url, options).ValueOrDie();
  const auto round = [&](const std::string& name,
                         const std::function<Result<ObjectInfo>(ObjectStore*, ByteSpan)>& put) {
    Result<ObjectInfo> a = Cancelled("");
    Result<ObjectInfo> b = Cancelled("");
    std::thread other([&] { b = put(second.get(), AsBytes("second " + name)); });
    a = put(first.get(), AsBytes("first " + name));
    other.join();
    const Status lost = a.ok() ? b.status() : a.status();
    if (a.ok() == b.ok() || CodeOf(lost) != ErrorCode::kAlreadyExists) {
      ++bad_rounds;
      trouble = name + ": " + a.status().ToString() + " / " + b.status().ToString();
      return;
    }
    ++wins[a.ok() ? "first" : "second"];
    const auto there = first->Get(words[1], {});
    const std::string wanted = (a.ok() ? "first " : "second ") + name;
    if (!there.ok() || std::string(there->bytes.begin(), there->bytes.end()) != wanted) {
      ++bad_rounds;
      trouble = name + ": the object is not the winner's";
    }
  };
  for (int i = 0; i < rounds; ++i) {
    const Status gone = first->Delete(std::vector<std::string>{words[1]}, {});
    if (!gone.ok()) return ToJson(gone);
    round("create " + std::to_string(i), [&](ObjectStore* store, ByteSpan bytes) {
      return store->PutIfAbsent(words[1], bytes, {});
    });
    const auto there = first->Head(words[1], {});
    if (!there.ok()) return ToJson(there.status());
    round("replace " + std::to_string(i), [&](ObjectStore* store, ByteSpan bytes) {
      return store->PutIfMatch(words[1], bytes, there->etag, {});
    });
  }
  return {{"rounds", rounds},
          {"bad_rounds", bad_rounds.load()},
          {"trouble", trouble},
          {"first", wins["first"]},
          {"second", wins["second"]}};
}

// A clock that is off by a fixed time.
class ShiftedClock final : public Clock {
 public:
  explicit ShiftedClock(int64_t shift_us) : shift_us_(shift_us) {}
  int64_t NowMicros() const override { return SystemClock()->NowMicros() + shift_us_; }

 private:
  const int64_t shift_us_;
};

bool TakeFlag(const std::string& flag, ObjectStoreOptions* options) {
  const size_t equals = flag.find('=');
  if (!flag.starts_with("--") || equals == std::string::npos) return false;
  const std::string name = flag.substr(2, equals - 2);
  const std::string value = flag.substr(equals + 1);
  const auto number = [&] { return std::stoll(value); };
  const std::map<std::string, std::function<void()>> flags = {
      {"endpoint", [&] { options->endpoint = value; }},
      {"region", [&] { options->region = value; }},
      {"access_key", [&] { options->access_key = value; }},
      {"secret_key", [&] { options->secret_key = value; }},
      {"session_token", [&] { options->session_token = value; }},
      {"anonymous", [&] { options->anonymous = true; }},
      {"path_style", [&] { options->path_style = value == "true"; }},
      {"ca_file", [&] { options->ca_file = value; }},
      {"connections_max", [&] { options->connections_max = static_cast<int32_t>(number()); }},
      {"part_bytes", [&] { options->part_bytes = static_cast<uint64_t>(number()); }},
      {"connect_timeout_ms", [&] { options->connect_timeout_ms = static_cast<int32_t>(number()); }},
      {"stall_timeout_ms", [&] { options->stall_timeout_ms = static_cast<int32_t>(number()); }},
      {"deadline_ms", [&] { options->deadline_ms = number(); }},
      {"backoff_first_ms", [&] { options->backoff_first_ms = static_cast<int32_t>(number()); }},
      {"backoff_max_ms", [&] { options->backoff_max_ms = static_cast<int32_t>(number()); }},
      {"random_seed", [&] { options->random_seed = static_cast<uint64_t>(number()); }},
      {"clock_shift_s", [&] { options->clock = new ShiftedClock(number() * 1'000'000); }},
  };
  const auto found = flags.find(name);
  if (found == flags.end()) return false;
  found->second();
  return true;
}

int Main(int argc, char** argv) {
  ObjectStoreOptions options;
  for (int i = 2; i < argc; ++i) {
    if (!TakeFlag(argv[i], &options)) {
      std::cerr << "object_tool: do not know " << argv[i] << "\n";
      return 2;
    }
  }
  const std::string url = argc > 1 ? argv[1] : "";
  const auto store = ObjectStore::Open(url, options);
  std::cout << json::serialize(store.ok() ? json::object{{"url", (*store)->url()}}
                                          : ToJson(store.status()))
            << std::endl;
  if (!store.ok()) return 1;
  std::string line;
  int64_t stop_after_ms = -1;
  while (std::getline(std::cin, line)) {
    Words words;
    std::istringstream stream(line);
    for (std::string word; std::getline(stream, word, '\t');) words.push_back(word);
    if (line.ends_with('\t')) words.emplace_back();
    if (words.empty()) continue;
    if (words[0] == "stop_after") {  // of the next command
      stop_after_ms = std::stoll(words[1]);
      continue;
    }
    std::stop_source stop;
    std::thread stopper;
    if (stop_after_ms >= 0) {
      stopper = std::thread([&stop, stop_after_ms] {
        std::this_thread::sleep_for(std::chrono::milliseconds(stop_after_ms));
        stop.request_stop();
      });
    }
    const json::object answer = words[0] == "race"
                                    ? Race(url, options, words)
                                    : Run(store->get(), words, {.stop = stop.get_token()});
    if (stopper.joinable()) stopper.join();
    stop_after_ms = -1;
    std::cout << json::serialize(answer) << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace fletching::store

int main(int argc, char** argv) { return fletching::store::Main(argc, argv); }
