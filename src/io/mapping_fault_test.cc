// Files cut short while they are mapped: the process lives, the mapping says that it failed, and
// what is no fault of ours goes where it went before.
#include "io/mapping_fault.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "io/file.h"
#include "io/test_folder.h"

namespace fletching::io {
namespace {

constexpr size_t kPage = 4096;

std::string MakeFile(const TestFolder& folder, const std::string& name, size_t bytes) {
  const std::string path = folder / name;
  auto file = PosixFileSystem()->Create(path).ValueOrDie();
  EXPECT_TRUE(file->Append(std::vector<uint8_t>(bytes, 7)).ok());
  EXPECT_TRUE(file->Close().ok());
  return path;
}

std::shared_ptr<MappedFile> MapFile(const std::string& path) {
  return PosixFileSystem()->Map(path).ValueOrDie();
}

void CutTo(const std::string& path, size_t bytes) { std::filesystem::resize_file(path, bytes); }

uint8_t ByteAt(const MappedFile& file, size_t at) {
  return *static_cast<const volatile uint8_t*>(file.bytes().data() + at);
}

TEST(MappingFault, TurnsAFileThatWasCutShortIntoZerosAndAnError) {
  TestFolder folder;
  // Below and above the size from which mappings are aligned, the last page whole and not.
  for (const size_t bytes : {4 * kPage, 4 * kPage + 1, size_t{3} << 20}) {
    const std::string path = MakeFile(folder, "f" + std::to_string(bytes), bytes);
    const auto file = MapFile(path);
    const auto other = MapFile(MakeFile(folder, "other" + std::to_string(bytes), 2 * kPage));
    EXPECT_EQ(ByteAt(*file, bytes - 1), 7);
    EXPECT_TRUE(file->CheckRead().ok());
    CutTo(path, kPage);
    EXPECT_EQ(ByteAt(*file, 0), 7);
    EXPECT_TRUE(file->CheckRead().ok());  // nothing was asked for that is not there
    EXPECT_EQ(ByteAt(*file, kPage), 0);
    const Status status = file->CheckRead();
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(CodeOf(status), ErrorCode::kUnavailable);
    EXPECT_EQ(status.message(),
              path + " could not be read: the file was cut short or the disk failed");
    EXPECT_EQ(ByteAt(*file, bytes - 1), 0);
    EXPECT_EQ(ByteAt(*file, 0), 0);  // none of it is believed any more
    EXPECT_FALSE(file->CheckRead().ok());
    EXPECT_EQ(ByteAt(*other, 2 * kPage - 1), 7);
    EXPECT_TRUE(other->CheckRead().ok());
    EXPECT_TRUE(MapFile(path)->CheckRead().ok());  // mapped anew it is what it is now
  }
}

TEST(MappingFault, FindsTheRightOneAmongManyThatComeAndGo) {
  TestFolder folder;
  std::vector<std::string> paths;
  std::vector<std::shared_ptr<MappedFile>> files;
  for (size_t i = 0; i < 700; ++i) {
    paths.push_back(MakeFile(folder, std::to_string(i), kPage));
    files.push_back(MapFile(paths.back()));
  }
  for (size_t i = 0; i < files.size(); i += 3) files[i].reset();
  for (size_t i = 0; i < files.size(); i += 6) files[i] = MapFile(paths[i]);
  for (const size_t lost : {size_t{6}, size_t{301}, size_t{698}}) {
    CutTo(paths[lost], 0);
    EXPECT_EQ(ByteAt(*files[lost], 5), 0);
    EXPECT_FALSE(files[lost]->CheckRead().ok());
  }
  const auto failed = [](const auto& file) { return file != nullptr && !file->CheckRead().ok(); };
  EXPECT_EQ(std::count_if(files.begin(), files.end(), failed), 3);
}

TEST(MappingFault, StandsWhileThreadsMapAndFail) {
  TestFolder folder;
  const std::string kept = MakeFile(folder, "kept", 64 * kPage);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 50; ++round) {
        const std::string path = MakeFile(folder, std::to_string(t), 8 * kPage);
        const auto file = MapFile(path);
        const auto good = MapFile(kept);
        std::thread reader([&] {
          while (file->CheckRead().ok()) {
            for (size_t at = 0; at < 8 * kPage; at += kPage) (void)ByteAt(*file, at);
          }
        });
        CutTo(path, static_cast<size_t>(round % 8) * kPage);
        reader.join();
        EXPECT_EQ(ByteAt(*good, 63 * kPage), 7);
        EXPECT_TRUE(good->CheckRead().ok());
        EXPECT_TRUE(PosixFileSystem()->Remove(path).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(MappingFault, ReadThroughFindsAPageThatIsGone) {
  TestFolder folder;
  const std::string path = MakeFile(folder, "f", 5 * kPage + 9);
  const auto file = MapFile(path);
  EXPECT_TRUE(ReadThrough(*file).ok());
  CutTo(path, 5 * kPage);
  EXPECT_FALSE(ReadThrough(*file).ok());
}

// Each of these runs in a process that starts afresh, so that the handler before ours is the
// test's.
class MappingFaultElsewhere : public ::testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  static void SetHandler(void (*handler)(int)) {
    struct sigaction action = {};
    action.sa_handler = handler;
    sigaction(SIGBUS, &action, nullptr);
  }
  static void SetHandler(void (*handler)(int, siginfo_t*, void*)) {
    struct sigaction action = {};
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGBUS, &action, nullptr);
  }
  // A mapping of ours that fails, and goes on.
  static void FailOurs(const TestFolder& folder) {
    const std::string path = MakeFile(folder, "ours", kPage);
    const auto file = MapFile(path);
    CutTo(path, 0);
    if (ByteAt(*file, 0) != 0 || file->CheckRead().ok()) std::abort();
  }
  static void FaultElsewhere(const TestFolder& folder) {
    const std::string path = MakeFile(folder, "elsewhere", kPage);
    const int descriptor = ::open(path.c_str(), O_RDONLY);
    const void* const start = ::mmap(nullptr, kPage, PROT_READ, MAP_SHARED, descriptor, 0);
    foreign_page = start;
    CutTo(path, 0);
    (void)*static_cast<const volatile uint8_t*>(start);
  }
  static inline const void* foreign_page = nullptr;
  static inline volatile int signal_count = 0;
};

TEST_F(MappingFaultElsewhere, ReachesTheHandlerBefore) {
  TestFolder folder;
  const auto body = [&] {
    SetHandler([](int, siginfo_t* info, void*) { ::_exit(info->si_addr == foreign_page ? 7 : 8); });
    FailOurs(folder);
    FaultElsewhere(folder);
  };
  EXPECT_EXIT(body(), ::testing::ExitedWithCode(7), "");
}

TEST_F(MappingFaultElsewhere, EndsTheProcessWhenThereWasNoHandler) {
  TestFolder folder;
  for (void (*before)(int) : {SIG_DFL, SIG_IGN}) {
    const auto body = [&] {
      SetHandler(before);
      FailOurs(folder);
      FaultElsewhere(folder);
    };
    EXPECT_EXIT(body(), ::testing::KilledBySignal(SIGBUS), "");
  }
}

TEST_F(MappingFaultElsewhere, SentSignalsGoWhereTheyWent) {
  TestFolder folder;
  const auto counted = [&] {
    SetHandler([](int) { signal_count = signal_count + 1; });
    FailOurs(folder);
    ::raise(SIGBUS);
    ::raise(SIGBUS);
    ::_exit(signal_count == 2 ? 7 : 8);
  };
  EXPECT_EXIT(counted(), ::testing::ExitedWithCode(7), "");
  const auto ignored = [&] {
    SetHandler(SIG_IGN);
    FailOurs(folder);
    ::raise(SIGBUS);
    ::_exit(7);
  };
  EXPECT_EXIT(ignored(), ::testing::ExitedWithCode(7), "");
  const auto deadly = [&] {
    SetHandler(SIG_DFL);
    FailOurs(folder);
    ::raise(SIGBUS);
    ::_exit(7);
  };
  EXPECT_EXIT(deadly(), ::testing::KilledBySignal(SIGBUS), "");
}

}  // namespace
}  // namespace fletching::io
