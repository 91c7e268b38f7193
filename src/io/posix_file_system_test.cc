// What only the real disk can show: locks across processes, full disks, addresses of mappings.
// What every FileSystem must do is in file_system_test.cc.
#include <csignal>
#include <filesystem>
#include <functional>
#include <sched.h>
#include <string>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "io/file.h"
#include "io/test_folder.h"

namespace fletching::io {
namespace {

// Runs `body` in a child process; its pid. The child ends with the exit code that `body` returns.
pid_t Fork(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  return child;
}

int ExitCode(pid_t child) {
  int state = 0;
  EXPECT_EQ(::waitpid(child, &state, 0), child);
  return WIFEXITED(state) ? WEXITSTATUS(state) : -1;
}

// A pipe on which one process tells another that it got somewhere.
struct Signal {
  Signal() { EXPECT_EQ(::pipe(ends), 0); }
  ~Signal() {
    ::close(ends[0]);
    ::close(ends[1]);
  }
  void Send() { EXPECT_EQ(::write(ends[1], "x", 1), 1); }
  void Wait() {
    char got;
    EXPECT_EQ(::read(ends[0], &got, 1), 1);
  }
  int ends[2];
};

TEST(PosixFolderLock, NamesThePidOfAnotherProcessAndIsFreeAfterKill9) {
  TestFolder folder;
  const std::string path = folder / "LOCK";
  Signal locked;
  const pid_t holder = Fork([&] {
    const auto lock = PosixFileSystem()->Lock(path);
    if (!lock.ok()) return 1;
    locked.Send();
    for (;;) ::pause();
  });
  locked.Wait();
  const Status status = PosixFileSystem()->Lock(path).status();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(CodeOf(status), ErrorCode::kLocked);
  EXPECT_NE(status.message().find("pid " + std::to_string(holder)), std::string::npos) << status;
  EXPECT_NE(status.message().find(path), std::string::npos) << status;

  ASSERT_EQ(::kill(holder, SIGKILL), 0);
  ExitCode(holder);
  EXPECT_TRUE(PosixFileSystem()->Lock(path).ok());
}

TEST(PosixFolderLock, RefusesASecondOpenInTheSameProcess) {
  TestFolder folder;
  auto lock = PosixFileSystem()->Lock(folder / "LOCK");
  ASSERT_TRUE(lock.ok());
  const Status status = PosixFileSystem()->Lock(folder / "LOCK").status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kLocked);
  EXPECT_NE(status.message().find("this process itself (pid " + std::to_string(::getpid())),
            std::string::npos)
      << status;
  lock->reset();
  EXPECT_TRUE(PosixFileSystem()->Lock(folder / "LOCK").ok());
}

TEST(PosixFolderLock, IsNotKeptByAForkedChildOfADeadHolder) {
  TestFolder folder;
  const std::string path = folder / "LOCK";
  Signal ready;
  Signal finish;
  const pid_t holder = Fork([&] {
    const auto lock = PosixFileSystem()->Lock(path);
    if (!lock.ok()) return 1;
    Fork([&] {  // as Python's multiprocessing does
      ready.Send();
      finish.Wait();
      return 0;
    });
    for (;;) ::pause();
  });
  ready.Wait();
  EXPECT_EQ(CodeOf(PosixFileSystem()->Lock(path).status()), ErrorCode::kLocked);
  ASSERT_EQ(::kill(holder, SIGKILL), 0);
  ExitCode(holder);
  EXPECT_TRUE(PosixFileSystem()->Lock(path).ok());
  finish.Send();
}

TEST(PosixFolderLock, OutlivesAForkedChildThatDestroysItsCopy) {
  TestFolder folder;
  auto lock = PosixFileSystem()->Lock(folder / "LOCK");
  ASSERT_TRUE(lock.ok());
  EXPECT_EQ(ExitCode(Fork([&] {
              lock->reset();
              return PosixFileSystem()->Lock(folder / "LOCK").ok() ? 1 : 0;
            })),
            0);
  EXPECT_EQ(CodeOf(PosixFileSystem()->Lock(folder / "LOCK").status()), ErrorCode::kLocked);
}

TEST(PosixFolderLock, GoesToExactlyOneOfManyThatWantIt) {
  TestFolder folder;
  const std::string path = folder / "LOCK";
  Signal done;
  std::vector<pid_t> children;
  Signal answered;
  for (int i = 0; i < 8; ++i) {
    children.push_back(Fork([&] {
      const auto lock = PosixFileSystem()->Lock(path);
      answered.Send();
      done.Wait();
      return lock.ok() ? 1 : 0;
    }));
  }
  for (int i = 0; i < 8; ++i) answered.Wait();
  for (int i = 0; i < 8; ++i) done.Send();
  int winners = 0;
  for (pid_t child : children) winners += ExitCode(child);
  EXPECT_EQ(winners, 1);
}

TEST(PosixFileSystem, MapsLargeFilesAtA2MibAddress) {
  TestFolder folder;
  const std::vector<uint8_t> block((size_t{2} << 20) + 12345, 7);
  auto file = *PosixFileSystem()->Create(folder / "big");
  ASSERT_TRUE(file->Append(ByteSpan(block)).ok());
  for (int i = 0; i < 4; ++i) {
    const auto mapped = *PosixFileSystem()->Map(folder / "big");
    EXPECT_EQ(reinterpret_cast<uintptr_t>(mapped->bytes().data()) % (size_t{2} << 20), 0u);
    EXPECT_EQ(mapped->bytes().size(), block.size());
    EXPECT_EQ(mapped->bytes().back(), 7);
  }
}

TEST(PosixFileSystem, FollowsSymbolicLinksToTheRealPath) {
  TestFolder folder;
  ASSERT_TRUE(PosixFileSystem()->MakeFolder(folder / "real").ok());
  ASSERT_EQ(::symlink((folder / "real").c_str(), (folder / "link").c_str()), 0);
  EXPECT_EQ(PosixFileSystem()->RealPath(folder / "link/new"),
            PosixFileSystem()->RealPath(folder / "real/new"));
}

TEST(PosixFileSystem, RefusesToMapAFolderOrAPipe) {
  TestFolder folder;
  EXPECT_FALSE(PosixFileSystem()->Map(folder.path()).ok());
  EXPECT_FALSE(PosixFileSystem()->Map("/dev/null").ok());
}

// Fills a disk of 1 MiB in a mount namespace of its own. 0 = as it should be, 77 = not possible
// here, else the step that went wrong.
int FillASmallDisk(const std::string& folder) {
  if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return 77;
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 77;
  if (::mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=1m") != 0) return 77;
  FileSystem* const disk = PosixFileSystem();
  const std::vector<uint8_t> block(300'000, 1);
  const ByteSpan pieces[] = {block, block};
  auto file = disk->Create(folder + "/a");
  if (!file.ok() || !(*file)->Append(std::span(pieces)).ok()) return 1;
  const Status full = (*file)->Append(std::span(pieces));
  if (full.ok() || CodeOf(full) != ErrorCode::kStorageFull) return 2;
  if ((*file)->size_bytes() != 600'000) return 3;
  if ((*disk->Map(folder + "/a"))->bytes().size() != 600'000) return 4;  // nothing in part
  // What was taken back is there for others, and the file can go on when there is space again.
  auto other = disk->Create(folder + "/b");
  if (!other.ok() || !(*other)->Append(ByteSpan(block)).ok()) return 5;
  if (!disk->Remove(folder + "/b").ok() || !(*other)->Close().ok()) return 6;
  if (!(*file)->Append(ByteSpan(block)).ok() || !(*file)->Sync().ok()) return 7;
  return (*disk->Map(folder + "/a"))->bytes().size() == 900'000 ? 0 : 8;
}

TEST(PosixFileSystem, TakesBackAnAppendThatFilledTheDisk) {
  TestFolder folder;
  const int code = ExitCode(Fork([&] { return FillASmallDisk(folder.path()); }));
  if (code == 77) GTEST_SKIP() << "no right to mount a small disk here";
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace fletching::io
