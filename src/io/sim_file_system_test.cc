// What a power loss may and may not do. What every FileSystem does is in file_system_test.cc.
#include "io/sim_file_system.h"

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace fletching::io {
namespace {

constexpr uint64_t kSeeds = 2000;

std::string Text(SimFileSystem& disk, const std::string& path) {
  const auto mapped = disk.Map(path);
  if (!mapped.ok()) return "<absent>";
  return {(*mapped)->bytes().begin(), (*mapped)->bytes().end()};
}

std::unique_ptr<AppendFile> CreateOrDie(SimFileSystem& disk, const std::string& path) {
  return disk.Create(path).ValueOrDie();
}

// A file at `path` that will survive, with `text` in it.
void PutDurably(SimFileSystem& disk, const std::string& path, std::string_view text) {
  auto file = CreateOrDie(disk, path);
  ASSERT_TRUE(file->Append(AsBytes(text)).ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(disk.SyncFolder(path.substr(0, path.rfind('/'))).ok());
}

TEST(SimFileSystem, KeepsSyncedBytesAndHurtsTheOthersInEveryWay) {
  SimFileSystem disk;
  auto file = CreateOrDie(disk, "/f");
  ASSERT_TRUE(disk.SyncFolder("/").ok());
  const std::string synced(700, 's');
  const std::string unsynced(20'000, 'u');
  ASSERT_TRUE(file->Append(AsBytes(synced)).ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(file->Append(AsBytes(unsynced)).ok());
  std::map<std::string, int> seen;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const std::string text = Text(*disk.Crash(seed), "/f");
    ASSERT_EQ(text.substr(0, 700), synced) << "seed " << seed;
    const std::string tail = text.substr(700);
    ASSERT_LE(tail.size(), unsynced.size());
    if (tail.empty()) {
      ++seen["gone"];
    } else if (tail == unsynced) {
      ++seen["kept"];
    } else if (tail.find_first_not_of('u') == std::string::npos) {
      ++seen["cut"];
    } else if (tail.find_first_not_of(std::string("u\0", 2)) != std::string::npos) {
      ++seen["garbage"];
    } else if (tail.find('u') == std::string::npos) {
      ++seen["zeros"];
    } else {
      ++seen[tail.rfind('u') > tail.find('\0') ? "reordered" : "torn"];
    }
  }
  for (const char* way : {"gone", "kept", "cut", "garbage", "zeros", "reordered", "torn"}) {
    EXPECT_GE(seen[way], 20) << way;
  }
}

TEST(SimFileSystem, TearsAtTheEdgesOfSectorsOnly) {
  SimFileSystem disk;
  auto file = CreateOrDie(disk, "/f");
  ASSERT_TRUE(disk.SyncFolder("/").ok());
  ASSERT_TRUE(file->Append(AsBytes(std::string(30'000, 'u'))).ok());
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const std::string text = Text(*disk.Crash(seed), "/f");
    if (text.find_first_not_of(std::string("u\0", 2)) != std::string::npos) continue;  // garbage
    for (size_t i = 1; i < text.size(); ++i) {
      if (text[i] != text[i - 1]) {
        ASSERT_EQ(i % 512, 0u) << "seed " << seed;
      }
    }
  }
}

TEST(SimFileSystem, MayForgetANameUntilItsFolderIsSynced) {
  SimFileSystem disk;
  auto file = CreateOrDie(disk, "/f");
  ASSERT_TRUE(file->Append(AsBytes("x")).ok());
  ASSERT_TRUE(file->Sync().ok());
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 100; ++seed) seen.insert(Text(*disk.Crash(seed), "/f"));
  EXPECT_EQ(seen, (std::set<std::string>{"<absent>", "x"}));
  ASSERT_TRUE(disk.SyncFolder("/").ok());
  for (uint64_t seed = 0; seed < 100; ++seed) EXPECT_EQ(Text(*disk.Crash(seed), "/f"), "x");
  ASSERT_TRUE(disk.Remove("/f").ok());
  seen.clear();
  for (uint64_t seed = 0; seed < 100; ++seed) seen.insert(Text(*disk.Crash(seed), "/f"));
  EXPECT_EQ(seen, (std::set<std::string>{"<absent>", "x"}));
}

TEST(SimFileSystem, LosesASyncedFileWithItsUnsyncedFolder) {
  SimFileSystem disk;
  ASSERT_TRUE(disk.MakeFolder("/a/b").ok());
  PutDurably(disk, "/a/b/f", "x");
  ASSERT_TRUE(disk.SyncFolder("/a").ok());
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 100; ++seed) seen.insert(Text(*disk.Crash(seed), "/a/b/f"));
  EXPECT_EQ(seen, (std::set<std::string>{"<absent>", "x"}));
  ASSERT_TRUE(disk.SyncFolder("/").ok());
  for (uint64_t seed = 0; seed < 100; ++seed) EXPECT_EQ(Text(*disk.Crash(seed), "/a/b/f"), "x");
}

TEST(SimFileSystem, ReplacesByRenameWithoutEverLosingEither) {
  SimFileSystem disk;
  PutDurably(disk, "/target", "old");
  PutDurably(disk, "/source", "new");
  ASSERT_TRUE(disk.Rename("/source", "/target").ok());
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    auto after = disk.Crash(seed);
    seen.insert(Text(*after, "/source") + " " + Text(*after, "/target"));
  }
  EXPECT_EQ(seen, (std::set<std::string>{"new old", "new new", "<absent> new"}));
  ASSERT_TRUE(disk.SyncFolder("/").ok());
  EXPECT_EQ(Text(*disk.Crash(1), "/target"), "new");
}

TEST(SimFileSystem, MayEmptyARenamedFileThatWasNotSynced) {
  SimFileSystem disk;
  auto file = CreateOrDie(disk, "/source");
  ASSERT_TRUE(file->Append(AsBytes("new")).ok());
  ASSERT_TRUE(disk.Rename("/source", "/target").ok());
  ASSERT_TRUE(disk.SyncFolder("/").ok());
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 200; ++seed) seen.insert(Text(*disk.Crash(seed), "/target"));
  EXPECT_EQ(seen.count(""), 1u);
  EXPECT_EQ(seen.count("new"), 1u);
  EXPECT_EQ(seen.count("<absent>"), 0u);
}

TEST(SimFileSystem, KeepsAMovedFileWhenOnlyItsOldFolderWasSynced) {
  SimFileSystem disk;
  ASSERT_TRUE(disk.MakeFolder("/a").ok());
  ASSERT_TRUE(disk.MakeFolder("/b").ok());
  ASSERT_TRUE(disk.SyncFolder("/").ok());
  PutDurably(disk, "/a/f", "x");
  ASSERT_TRUE(disk.Rename("/a/f", "/b/f").ok());
  ASSERT_TRUE(disk.SyncFolder("/a").ok());
  for (uint64_t seed = 0; seed < 100; ++seed) EXPECT_EQ(Text(*disk.Crash(seed), "/b/f"), "x");
}

TEST(SimFileSystem, NeverGivesAFolderTwoNamesOrNone) {
  SimFileSystem disk;
  ASSERT_TRUE(disk.MakeFolder("/a").ok());
  ASSERT_TRUE(disk.SyncFolder("/").ok());
  PutDurably(disk, "/a/f", "x");
  ASSERT_TRUE(disk.Rename("/a", "/b").ok());
  ASSERT_TRUE(disk.Rename("/b", "/c").ok());
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    std::string names;
    for (const FolderEntry& entry : *disk.Crash(seed)->List("/")) names += entry.name;
    seen.insert(names);
  }
  EXPECT_EQ(seen, (std::set<std::string>{"a", "b", "c"}));
}

TEST(SimFileSystem, BringsBackAnyPartOfAnUnsyncedFolderRemoval) {
  SimFileSystem disk;
  ASSERT_TRUE(disk.MakeFolder("/a").ok());
  ASSERT_TRUE(disk.SyncFolder("/").ok());
  PutDurably(disk, "/a/f", "x");
  PutDurably(disk, "/a/g", "y");
  ASSERT_TRUE(disk.RemoveFolder("/a").ok());
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    auto after = disk.Crash(seed);
    seen.insert(after->Exists("/a") ? Text(*after, "/a/f") + Text(*after, "/a/g") : "none");
  }
  EXPECT_EQ(seen,
            (std::set<std::string>{"none", "xy", "x<absent>", "<absent>y", "<absent><absent>"}));
}

TEST(SimFileSystem, GivesTheSameAnswerForTheSameSeed) {
  SimFileSystem disk;
  for (int i = 0; i < 10; ++i) {
    auto file = CreateOrDie(disk, "/" + std::to_string(i));
    ASSERT_TRUE(file->Append(AsBytes(std::string(5000, 'x'))).ok());
  }
  std::set<std::vector<std::string>> different;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    auto one = disk.Crash(seed);
    auto two = disk.Crash(seed);
    EXPECT_EQ(one->Describe(), two->Describe());
    for (int i = 0; i < 10; ++i) {
      EXPECT_EQ(Text(*one, "/" + std::to_string(i)), Text(*two, "/" + std::to_string(i)));
    }
    different.insert(one->Describe());
  }
  EXPECT_GE(different.size(), 15u);
}

TEST(SimFileSystem, IsNotChangedByACrashAndSharesNothingWithWhatIsLeft) {
  SimFileSystem disk;
  auto file = CreateOrDie(disk, "/f");
  ASSERT_TRUE(file->Append(AsBytes("one")).ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(disk.SyncFolder("/").ok());
  auto lock = disk.Lock("/LOCK");
  ASSERT_TRUE(lock.ok());
  auto after = disk.Crash(3);
  EXPECT_TRUE(after->Lock("/LOCK").ok());  // its holder died
  ASSERT_TRUE(file->Append(AsBytes("two")).ok());
  EXPECT_EQ(Text(disk, "/f"), "onetwo");
  EXPECT_EQ(Text(*after, "/f"), "one");
  EXPECT_EQ(Text(*after->Crash(7), "/f"), "one");  // all that came through is durable
}

TEST(SimFileSystem, IsFullAtItsCapacityUntilSomethingIsRemoved) {
  SimFileSystem disk;
  disk.SetCapacity(1000);
  auto file = CreateOrDie(disk, "/f");
  ASSERT_TRUE(file->Append(AsBytes(std::string(900, 'x'))).ok());
  auto other = CreateOrDie(disk, "/g");
  EXPECT_EQ(CodeOf(other->Append(AsBytes(std::string(101, 'y')))), ErrorCode::kStorageFull);
  EXPECT_EQ(other->size_bytes(), 0u);
  ASSERT_TRUE(disk.Remove("/f").ok());
  EXPECT_TRUE(other->Append(AsBytes(std::string(101, 'y'))).ok());
}

TEST(SimFileSystem, TellsWhatIsNotSynced) {
  SimFileSystem disk;
  PutDurably(disk, "/a", "123");
  PutDurably(disk, "/b", "1");
  ASSERT_TRUE(disk.Remove("/a").ok());
  auto file = CreateOrDie(disk, "/c");
  ASSERT_TRUE(file->Append(AsBytes("12")).ok());
  EXPECT_EQ(disk.Describe(), (std::vector<std::string>{"/b 1 bytes, 1 synced",
                                                       "/c 2 bytes, 0 synced, name not synced",
                                                       "/a removed, not synced"}));
}

TEST(SimFileSystem, KeepsOneOfTwoNamesWhenTheOtherIsLost) {
  SimFileSystem disk;
  ASSERT_TRUE(disk.MakeFolder("/a").ok());
  auto file = CreateOrDie(disk, "/a/f");
  ASSERT_TRUE(file->Append(AsBytes("text")).ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(disk.SyncFolder("/a").ok());
  ASSERT_TRUE(disk.SyncFolder("/").ok());
  ASSERT_TRUE(disk.Link("/a/f", "/g").ok());
  std::set<std::string> second;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    const auto after = disk.Crash(seed);
    EXPECT_EQ(Text(*after, "/a/f"), "text");
    second.insert(Text(*after, "/g"));
  }
  EXPECT_EQ(second, (std::set<std::string>{"<absent>", "text"}));
}

// Random calls in one folder against a model that only knows the promises: which texts a name may
// stand for after a crash, and how much of each text must be there.
TEST(SimFileSystem, KeepsItsPromisesOverRandomCalls) {
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    SimFileSystem disk;
    std::map<int, std::string> synced_text;              // by file
    std::map<int, std::unique_ptr<AppendFile>> files;    // by file
    std::map<std::string, int> names;                    // -1 or missing = absent
    std::map<std::string, std::set<int>> may_stand_for;  // files, -1 = absent
    int file_count = 0;
    const auto set_name = [&](const std::string& name, int file) {
      if (may_stand_for[name].empty()) may_stand_for[name] = {-1};
      names[name] = file;
      may_stand_for[name].insert(file);
    };
    for (int step = 0; step < 60; ++step) {
      const std::string name = std::string("/") + static_cast<char>('a' + random() % 4);
      const std::string other = std::string("/") + static_cast<char>('a' + random() % 4);
      const int file = names.count(name) > 0 ? names[name] : -1;
      switch (random() % 6) {
        case 0:
          if (file >= 0) break;
          files[file_count] = CreateOrDie(disk, name);
          ASSERT_TRUE(files[file_count]->Append(AsBytes(std::to_string(file_count) + ":")).ok());
          set_name(name, file_count++);
          break;
        case 1:
          if (file < 0) break;
          ASSERT_TRUE(files[file]->Append(AsBytes(std::string(random() % 3000, 'x'))).ok());
          break;
        case 2:
          if (file < 0) break;
          ASSERT_TRUE(files[file]->Sync().ok());
          synced_text[file] = Text(disk, name);
          break;
        case 3:
          if (file < 0 || name == other) break;
          ASSERT_TRUE(disk.Rename(name, other).ok());
          set_name(other, file);
          set_name(name, -1);
          break;
        case 4:
          if (file < 0) break;
          ASSERT_TRUE(disk.Remove(name).ok());
          set_name(name, -1);
          break;
        default:
          ASSERT_TRUE(disk.SyncFolder("/").ok());
          for (auto& [changed, possible] : may_stand_for) possible = {names[changed]};
      }
    }
    for (uint64_t crash = 0; crash < 10; ++crash) {
      auto after = disk.Crash(crash);
      for (const auto& [name, possible] : may_stand_for) {
        const std::string text = Text(*after, name);
        bool explained = false;
        for (int file : possible) {
          explained |= file < 0 ? text == "<absent>"
                                : text != "<absent>" && text.starts_with(synced_text[file]);
        }
        EXPECT_TRUE(explained) << name << " after crash " << crash;
      }
    }
  }
}

}  // namespace
}  // namespace fletching::io
