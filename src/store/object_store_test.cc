#include "store/object_store.h"

#include <algorithm>
#include <cstdlib>
#include <random>
#include <set>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "io/test_folder.h"

namespace fletching::store {
namespace {

ObjectStoreOptions WithKeys() { return {.access_key = "key", .secret_key = "s3cret"}; }

TEST(ObjectStore, NamesItselfWithoutSettings) {
  const auto name = [](const std::string& url) {
    return ObjectStore::Open(url, WithKeys()).ValueOrDie()->url();
  };
  EXPECT_EQ(name("s3://features"), "s3://features/");
  EXPECT_EQ(name("s3://features/a/b/?region=eu-west-1"), "s3://features/a/b/");
  EXPECT_EQ(name("s3://features//a"), "s3://features/a/");
  EXPECT_EQ(name("file:///mnt/x/"), "file:///mnt/x");
}

TEST(ObjectStore, RefusesWhatItCannotName) {
  const auto code = [](const std::string& url, ObjectStoreOptions options = WithKeys()) {
    const auto store = ObjectStore::Open(url, options);
    EXPECT_FALSE(store.ok()) << url;
    EXPECT_EQ(store.status().message().find("s3cret"), std::string::npos) << url;
    return CodeOf(store.status());
  };
  for (const char* url : {"", "features", "s3://", "s3://a/b", "s3://a b c/", "s3://k:s3cret@buc/x",
                          "s3://bucket/x?secret_key=s3cret", "file://x", "file:///"}) {
    EXPECT_EQ(code(url), ErrorCode::kInvalidArgument) << url;
  }
  EXPECT_EQ(code("http://bucket/x"), ErrorCode::kUnsupported);
  for (const char* endpoint : {"127.0.0.1:9000", "ftp://x", "http://", "http://k:s3cret@x",
                               "http://x/path", "http://x?s3cret"}) {
    ObjectStoreOptions options = WithKeys();
    options.endpoint = endpoint;
    EXPECT_EQ(code("s3://bucket", options), ErrorCode::kInvalidArgument) << endpoint;
  }
  ObjectStoreOptions options = WithKeys();
  options.connections_max = 0;
  EXPECT_EQ(code("s3://bucket", options), ErrorCode::kInvalidArgument);
}

// A listing is that of a sorted set, whatever the page size, prefix and start.
TEST(FileStore, ListsAsASortedSetWould) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const io::TestFolder folder;
  const auto store = ObjectStore::Open("file://" + folder.path(), {}).ValueOrDie();
  const auto name = [&random](int depth) {
    constexpr char kLetters[] = "ab-.0";
    std::string text;
    for (int i = 0; i < depth; ++i) {
      if (i > 0) text += '/';
      text += 'k';  // no part may be "." or ".."
      for (uint32_t n = random() % 3; n > 0; --n) text += kLetters[random() % 5];
    }
    return text;
  };
  std::set<std::string> model;
  for (int i = 0; i < 120; ++i) {
    const std::string key = name(1 + static_cast<int>(random() % 3));
    // Where a file is, there can be no folder.
    if (store->Put(key, AsBytes(key), {}).ok()) model.insert(key);
  }
  for (int round = 0; round < 300; ++round) {
    std::string prefix = round % 3 == 0 ? "" : name(1 + static_cast<int>(random() % 2));
    if (round % 5 == 0) prefix += '/';
    const std::string start = round % 2 == 0 ? "" : name(1 + static_cast<int>(random() % 3));
    const bool shallow = random() % 2 == 0;
    std::set<std::string> wanted;
    for (const std::string& key : model) {
      if (!key.starts_with(prefix) || key <= start) continue;
      const size_t slash = shallow ? key.find('/', prefix.size()) : std::string::npos;
      std::string entry = slash == std::string::npos ? key : key.substr(0, slash + 1);
      if (slash != std::string::npos && (entry <= start || start.starts_with(entry))) continue;
      wanted.insert(std::move(entry));
    }
    std::set<std::string> got;
    ListOptions options{.start_after = start,
                        .shallow = shallow,
                        .entries_max = 1 + static_cast<int>(random() % 20)};
    do {
      const ObjectPage page = store->List(prefix, options).ValueOrDie();
      EXPECT_LE(page.objects.size() + page.folders.size(),
                static_cast<size_t>(options.entries_max));
      for (const ObjectInfo& object : page.objects) EXPECT_TRUE(got.insert(object.key).second);
      for (const std::string& entry : page.folders) EXPECT_TRUE(got.insert(entry).second);
      options.page = page.next_page;
    } while (!options.page.empty());
    EXPECT_EQ(got, wanted) << "prefix " << prefix << " start " << start << " shallow " << shallow;
  }
  EXPECT_EQ(store->ListAll("", "", {}).ValueOrDie().size(), model.size());
}

// Adds one in turn, each on what it read: no addition may be lost.
TEST(FileStore, LosesNoConditionalPut) {
  const io::TestFolder folder;
  const std::string url = "file://" + folder.path();
  ASSERT_TRUE(ObjectStore::Open(url, {}).ValueOrDie()->PutIfAbsent("n", AsBytes("0"), {}).ok());
  constexpr int kEach = 50;
  const auto add = [&url] {
    const auto store = ObjectStore::Open(url, {}).ValueOrDie();
    for (int done = 0; done < kEach;) {
      const ObjectBytes there = store->Get("n", {}).ValueOrDie();
      const int next = std::stoi(std::string(there.bytes.begin(), there.bytes.end())) + 1;
      const auto put = store->PutIfMatch("n", AsBytes(std::to_string(next)), there.info.etag, {});
      if (put.ok()) {
        ++done;
      } else {
        ASSERT_EQ(CodeOf(put.status()), ErrorCode::kAlreadyExists) << put.status().ToString();
      }
    }
  };
  std::thread first(add);
  std::thread second(add);
  add();
  first.join();
  second.join();
  const ObjectBytes end = ObjectStore::Open(url, {}).ValueOrDie()->Get("n", {}).ValueOrDie();
  EXPECT_EQ(std::string(end.bytes.begin(), end.bytes.end()), std::to_string(3 * kEach));
}

}  // namespace
}  // namespace fletching::store
