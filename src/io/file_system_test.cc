// What every FileSystem must do, run against each of ours.
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "io/fault_file_system.h"
#include "io/file.h"
#include "io/sim_file_system.h"
#include "io/test_folder.h"

namespace fletching::io {
namespace {

// A file system and an empty folder in it.
struct Subject {
  virtual ~Subject() = default;
  virtual FileSystem* fs() = 0;
  virtual std::string folder() = 0;
};

struct RealDisk final : Subject {
  FileSystem* fs() override { return PosixFileSystem(); }
  std::string folder() override { return place.path(); }
  TestFolder place;
};

struct SimDisk : Subject {
  FileSystem* fs() override { return &sim; }
  std::string folder() override {
    EXPECT_TRUE(sim.MakeFolder("/data").ok());
    return "/data";
  }
  SimFileSystem sim;
};

struct UnspoiledDisk final : SimDisk {
  FileSystem* fs() override { return &fault; }
  FaultFileSystem fault{&sim};
};

// After a power loss the disk must be as good as before.
struct RestartedDisk final : SimDisk {
  RestartedDisk() {
    EXPECT_TRUE(sim.MakeFolder("/data").ok());
    EXPECT_TRUE(sim.SyncFolder("/").ok());
    restarted = sim.Crash(1);
  }
  FileSystem* fs() override { return restarted.get(); }
  std::unique_ptr<SimFileSystem> restarted;
};

using MakeSubject = std::unique_ptr<Subject> (*)();

template <typename T>
std::unique_ptr<Subject> Make() {
  return std::make_unique<T>();
}

class AnyFileSystem : public ::testing::TestWithParam<std::pair<const char*, MakeSubject>> {
 protected:
  FileSystem* fs() { return subject_->fs(); }
  std::string At(const std::string& name) { return subject_->folder() + "/" + name; }

  // Creates `path` with `text` in it.
  void Put(const std::string& path, std::string_view text) {
    auto file = fs()->Create(path);
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_TRUE((*file)->Append(AsBytes(text)).ok());
    ASSERT_TRUE((*file)->Close().ok());
  }
  // The content of `path`, or the name of the error.
  std::string Get(const std::string& path) {
    auto file = fs()->Map(path);
    if (!file.ok()) return "<" + std::string(CodeName(CodeOf(file.status()))) + ">";
    const ByteSpan bytes = (*file)->bytes();
    return std::string(bytes.begin(), bytes.end());
  }
  // "a b/ c": folders end with '/'.
  std::string Names(const std::string& path) {
    auto entries = fs()->List(path);
    if (!entries.ok()) return "<" + std::string(CodeName(CodeOf(entries.status()))) + ">";
    std::string text;
    for (const FolderEntry& entry : *entries) {
      if (!text.empty()) text += " ";
      text += entry.name + (entry.is_folder ? "/" : "");
    }
    return text;
  }

  std::unique_ptr<Subject> subject_ = GetParam().second();
};

TEST_P(AnyFileSystem, ReadsBackWhatWasAppended) {
  auto file = *fs()->Create(At("f"));
  EXPECT_EQ(file->size_bytes(), 0u);
  const ByteSpan pieces[] = {AsBytes("one "), AsBytes(""), AsBytes("two ")};
  ASSERT_TRUE(file->Append(std::span(pieces)).ok());
  ASSERT_TRUE(file->Append(AsBytes("three")).ok());
  file->StartWriteback();
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_EQ(file->size_bytes(), 13u);
  std::vector<uint8_t> got(5);
  ASSERT_TRUE(file->ReadAt(8, got).ok());
  EXPECT_EQ(std::string(got.begin(), got.end()), "three");
  EXPECT_TRUE(file->Close().ok());
  EXPECT_TRUE(file->Close().ok());
  EXPECT_FALSE(file->Append(AsBytes("late")).ok());
  EXPECT_EQ(Get(At("f")), "one two three");
}

TEST_P(AnyFileSystem, RefusesToReadBeyondTheEnd) {
  auto file = *fs()->Create(At("f"));
  ASSERT_TRUE(file->Append(AsBytes("12345")).ok());
  std::vector<uint8_t> got(3);
  EXPECT_EQ(CodeOf(file->ReadAt(3, got)), ErrorCode::kUnavailable);
  EXPECT_EQ(CodeOf(file->ReadAt(~uint64_t{0} - 1, got)), ErrorCode::kUnavailable);
  EXPECT_TRUE(file->ReadAt(2, got).ok());
  EXPECT_TRUE(file->ReadAt(5, std::span<uint8_t>()).ok());
}

TEST_P(AnyFileSystem, FillsReservedSpaceAsIfItWereNotThere) {
  auto file = *fs()->Create(At("f"));
  ASSERT_TRUE(file->Append(AsBytes("ab")).ok());
  ASSERT_TRUE(file->Reserve(200'000).ok());
  EXPECT_TRUE(file->Reserve(10).ok());  // there already
  EXPECT_EQ(file->size_bytes(), 2u);
  ASSERT_TRUE(file->Append(AsBytes("cd")).ok());
  EXPECT_EQ(file->size_bytes(), 4u);
  std::vector<uint8_t> got(4);
  EXPECT_TRUE(file->ReadAt(0, got).ok());
  EXPECT_FALSE(file->ReadAt(1, got).ok());
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_EQ(Get(At("f")), "abcd" + std::string(199'998, '\0'));
  const std::string longer(300'000, 'e');
  ASSERT_TRUE(file->Append(AsBytes(longer)).ok());
  EXPECT_EQ(Get(At("f")), "abcd" + longer);
  ASSERT_TRUE(file->Reserve(5).ok());
  EXPECT_EQ(Get(At("f")), "abcd" + longer + std::string(5, '\0'));
}

TEST_P(AnyFileSystem, AppendsThousandsOfPiecesInOrder) {
  std::vector<std::string> texts;
  std::string expected;
  for (int i = 0; i < 3000; ++i) {
    texts.push_back(i % 7 == 0 ? "" : std::to_string(i) + ",");
    expected += texts.back();
  }
  std::vector<ByteSpan> pieces;
  for (const std::string& text : texts) pieces.push_back(AsBytes(text));
  auto file = *fs()->Create(At("f"));
  ASSERT_TRUE(file->Append(std::span<const ByteSpan>(pieces)).ok());
  EXPECT_EQ(file->size_bytes(), expected.size());
  EXPECT_EQ(Get(At("f")), expected);
  ASSERT_TRUE(file->Append(std::span<const ByteSpan>()).ok());
  EXPECT_EQ(file->size_bytes(), expected.size());
}

TEST_P(AnyFileSystem, MapsAnEmptyFile) {
  Put(At("empty"), "");
  EXPECT_EQ(Get(At("empty")), "");
}

TEST_P(AnyFileSystem, KeepsAMappingWhenTheFileIsRemovedReplacedOrGrows) {
  Put(At("f"), "old");
  auto mapped = *fs()->Map(At("f"));
  EXPECT_EQ(mapped->path(), At("f"));
  Put(At("g"), "new");
  ASSERT_TRUE(fs()->Rename(At("g"), At("f")).ok());
  EXPECT_EQ(Get(At("f")), "new");
  ASSERT_TRUE(fs()->Remove(At("f")).ok());
  EXPECT_EQ(std::string(mapped->bytes().begin(), mapped->bytes().end()), "old");

  auto file = *fs()->Create(At("h"));
  ASSERT_TRUE(file->Append(AsBytes("abc")).ok());
  auto early = *fs()->Map(At("h"));
  ASSERT_TRUE(file->Append(AsBytes("def")).ok());
  EXPECT_EQ(std::string(early->bytes().begin(), early->bytes().end()), "abc");
  EXPECT_EQ(Get(At("h")), "abcdef");
}

TEST_P(AnyFileSystem, SaysWhatIsMissingAndWhatExists) {
  Put(At("f"), "x");
  EXPECT_EQ(CodeOf(fs()->Create(At("f")).status()), ErrorCode::kAlreadyExists);
  EXPECT_EQ(Get(At("f")), "x");
  EXPECT_EQ(CodeOf(fs()->Create(At("no/f")).status()), ErrorCode::kNotFound);
  EXPECT_EQ(CodeOf(fs()->Map(At("no")).status()), ErrorCode::kNotFound);
  EXPECT_EQ(CodeOf(fs()->Remove(At("no"))), ErrorCode::kNotFound);
  EXPECT_EQ(CodeOf(fs()->RemoveFolder(At("no"))), ErrorCode::kNotFound);
  EXPECT_EQ(CodeOf(fs()->Rename(At("no"), At("g"))), ErrorCode::kNotFound);
  EXPECT_EQ(CodeOf(fs()->SyncFolder(At("no"))), ErrorCode::kNotFound);
  EXPECT_EQ(CodeOf(fs()->List(At("no")).status()), ErrorCode::kNotFound);
  EXPECT_NE(fs()->Map(At("no")).status().message().find(At("no")), std::string::npos);
}

TEST_P(AnyFileSystem, GivesAFileASecondName) {
  Put(At("f"), "shared");
  ASSERT_TRUE(fs()->MakeFolder(At("dir")).ok());
  ASSERT_TRUE(fs()->Link(At("f"), At("dir/g")).ok());
  EXPECT_EQ(Get(At("dir/g")), "shared");
  EXPECT_EQ(CodeOf(fs()->Link(At("f"), At("dir/g"))), ErrorCode::kAlreadyExists);
  EXPECT_EQ(CodeOf(fs()->Link(At("no"), At("h"))), ErrorCode::kNotFound);
  EXPECT_EQ(CodeOf(fs()->Link(At("f"), At("no/h"))), ErrorCode::kNotFound);
  EXPECT_FALSE(fs()->Link(At("dir"), At("h")).ok());
  EXPECT_EQ(Names(subject_->folder()), "dir/ f");
  ASSERT_TRUE(fs()->Remove(At("f")).ok());
  EXPECT_EQ(Get(At("dir/g")), "shared");
}

TEST_P(AnyFileSystem, KnowsOnePlaceByAllItsPaths) {
  ASSERT_TRUE(fs()->MakeFolder(At("dir")).ok());
  const std::string real = fs()->RealPath(At("dir"));
  EXPECT_EQ(fs()->RealPath(At("./no/..//dir/")), real);
  EXPECT_EQ(fs()->RealPath(At("dir/not/yet")), real + "/not/yet");
  EXPECT_NE(fs()->RealPath(At("di")), real);
}

TEST_P(AnyFileSystem, ListsByNameWithSizes) {
  ASSERT_TRUE(fs()->MakeFolder(At("dir/b/deep")).ok());
  ASSERT_TRUE(fs()->MakeFolder(At("dir/b/deep")).ok());
  Put(At("dir/c"), "123");
  Put(At("dir/a"), "");
  const auto entries = *fs()->List(At("dir"));
  ASSERT_EQ(Names(At("dir")), "a b/ c");
  EXPECT_EQ(entries[0].size_bytes, 0u);
  EXPECT_EQ(entries[2].size_bytes, 3u);
  EXPECT_TRUE(fs()->Exists(At("dir/b/deep")));
  EXPECT_TRUE(fs()->Exists(At("dir/c")));
  EXPECT_FALSE(fs()->Exists(At("dir/d")));
  EXPECT_TRUE(fs()->SyncFolder(At("dir")).ok());
}

TEST_P(AnyFileSystem, RemovesAFolderWithEverythingInIt) {
  ASSERT_TRUE(fs()->MakeFolder(At("dir/deep")).ok());
  Put(At("dir/deep/f"), "x");
  EXPECT_FALSE(fs()->Remove(At("dir")).ok());
  ASSERT_TRUE(fs()->RemoveFolder(At("dir")).ok());
  EXPECT_FALSE(fs()->Exists(At("dir")));
  EXPECT_EQ(Get(At("dir/deep/f")), "<not_found>");
}

TEST_P(AnyFileSystem, DoesNotTakeAFileForAFolderNorAFolderForAFile) {
  Put(At("f"), "x");
  ASSERT_TRUE(fs()->MakeFolder(At("dir")).ok());
  EXPECT_FALSE(fs()->RemoveFolder(At("f")).ok());
  EXPECT_FALSE(fs()->SyncFolder(At("f")).ok());
  EXPECT_FALSE(fs()->List(At("f")).ok());
  EXPECT_FALSE(fs()->Map(At("dir")).ok());
  EXPECT_FALSE(fs()->Rename(At("f"), At("dir")).ok());
  EXPECT_FALSE(fs()->Rename(At("dir"), At("dir/below")).ok());
  EXPECT_EQ(CodeOf(fs()->Create(At("dir")).status()), ErrorCode::kAlreadyExists);
  EXPECT_EQ(Names(subject_->folder()), "dir/ f");
}

TEST_P(AnyFileSystem, RefusesAFolderWhereAFileIs) {
  Put(At("f"), "x");
  EXPECT_FALSE(fs()->MakeFolder(At("f")).ok());
  EXPECT_FALSE(fs()->MakeFolder(At("f/below")).ok());
  EXPECT_EQ(Get(At("f")), "x");
}

TEST_P(AnyFileSystem, LocksOnceAtATime) {
  auto lock = fs()->Lock(At("LOCK"));
  ASSERT_TRUE(lock.ok()) << lock.status();
  const Status status = fs()->Lock(At("LOCK")).status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kLocked);
  EXPECT_NE(status.message().find(At("LOCK")), std::string::npos);
  EXPECT_NE(status.message().find("pid "), std::string::npos);
  EXPECT_TRUE(fs()->Lock(At("LOCK2")).ok());
  lock->reset();
  EXPECT_TRUE(fs()->Lock(At("LOCK")).ok());
}

TEST_P(AnyFileSystem, ServesManyThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 20; ++i) {
        const std::string name = At(std::to_string(t) + "-" + std::to_string(i));
        Put(name, name);
        EXPECT_EQ(Get(name), name);
        EXPECT_TRUE(fs()->Rename(name, name + "x").ok());
        EXPECT_TRUE(fs()->List(subject_->folder()).ok());
        EXPECT_TRUE(fs()->Remove(name + "x").ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Names(subject_->folder()), "");
}

// Random calls against a map from names to texts.
TEST_P(AnyFileSystem, AgreesWithAMapOverRandomCalls) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    std::map<std::string, std::string> model;
    const std::string folder = At("s" + std::to_string(seed));
    ASSERT_TRUE(fs()->MakeFolder(folder).ok());
    for (int step = 0; step < 100; ++step) {
      const std::string a = std::string(1, static_cast<char>('a' + random() % 5));
      const std::string b = std::string(1, static_cast<char>('a' + random() % 5));
      switch (random() % 4) {
        case 0:
          if (model.count(a) > 0) {
            EXPECT_EQ(CodeOf(fs()->Create(folder + "/" + a).status()), ErrorCode::kAlreadyExists);
          } else {
            model[a] = std::string(random() % 9000, static_cast<char>('A' + random() % 26));
            Put(folder + "/" + a, model[a]);
          }
          break;
        case 1:
          EXPECT_EQ(fs()->Remove(folder + "/" + a).ok(), model.erase(a) > 0);
          break;
        case 2:
          EXPECT_EQ(fs()->Rename(folder + "/" + a, folder + "/" + b).ok(), model.count(a) > 0);
          if (a != b && model.count(a) > 0) {
            model[b] = model[a];
            model.erase(a);
          }
          break;
        default:
          EXPECT_EQ(Get(folder + "/" + a), model.count(a) > 0 ? model[a] : "<not_found>");
      }
    }
    std::string names;
    for (const auto& [name, text] : model) names += (names.empty() ? "" : " ") + name;
    EXPECT_EQ(Names(folder), names);
  }
}

INSTANTIATE_TEST_SUITE_P(All, AnyFileSystem,
                         ::testing::Values(std::pair("RealDisk", &Make<RealDisk>),
                                           std::pair("SimDisk", &Make<SimDisk>),
                                           std::pair("RestartedDisk", &Make<RestartedDisk>),
                                           std::pair("UnspoiledDisk", &Make<UnspoiledDisk>)),
                         [](const auto& one) { return std::string(one.param.first); });

}  // namespace
}  // namespace fletching::io
