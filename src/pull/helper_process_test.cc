// Programs that answer, fail, hang and are killed.
#include "pull/helper_process.h"

#include <array>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace fletching::pull {
namespace {

HelperOptions Shell(const std::string& script) {
  return {.command = {"sh", "-c", script}, .input = "hello", .silence_ms_max = 30'000, .check = {}};
}

Result<std::string> ReadAll(HelperProcess* helper) {
  std::string all;
  std::array<char, 1000> piece;
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const int64_t got, helper->Read(piece.size(), piece.data()));
    if (got == 0) return all;
    all.append(piece.data(), static_cast<size_t>(got));
  }
}

TEST(HelperProcess, AnswersAQuestion) {
  const auto helper = HelperProcess::Start(Shell("read -r line; echo \"$line you\"")).ValueOrDie();
  EXPECT_EQ(ReadAll(helper.get()).ValueOrDie(), "hello you\n");
  EXPECT_EQ(helper->Wait().ValueOrDie(), 0);
  EXPECT_EQ(helper->Wait().ValueOrDie(), 0);
}

TEST(HelperProcess, SaysHowItFailed) {
  const auto helper =
      HelperProcess::Start(Shell("echo half; echo oh >&2; echo no >&2; exit 3")).ValueOrDie();
  EXPECT_EQ(helper->Wait().ValueOrDie(), 3);  // what it still prints is passed over
  EXPECT_EQ(helper->errors(), "oh\nno\n");
}

TEST(HelperProcess, OfManyErrorsKeepsTheLast) {
  const auto helper =
      HelperProcess::Start(Shell("i=0; while [ $i -lt 20000 ]; do echo line $i >&2; "
                                 "i=$((i+1)); done; echo last >&2; echo out"))
          .ValueOrDie();
  EXPECT_EQ(ReadAll(helper.get()).ValueOrDie(), "out\n");
  EXPECT_EQ(helper->Wait().ValueOrDie(), 0);
  EXPECT_LE(helper->errors().size(), 64u * 1024);
  EXPECT_TRUE(helper->errors().ends_with("\nlast\n"));
}

TEST(HelperProcess, ThatASignalEndsSaysWhich) {
  const auto helper = HelperProcess::Start(Shell("kill -9 $$")).ValueOrDie();
  EXPECT_EQ(helper->Wait().ValueOrDie(), -SIGKILL);
}

TEST(HelperProcess, ThatIsNotThereIsAnError) {
  const auto helper =
      HelperProcess::Start({.command = {"/nowhere/python"}, .input = "", .check = {}});
  ASSERT_FALSE(helper.ok());
  EXPECT_EQ(CodeOf(helper.status()), ErrorCode::kNotFound);
}

TEST(HelperProcess, ThatIsSilentIsEnded) {
  HelperOptions options = Shell("echo $$; exec sleep 1000");
  options.silence_ms_max = 200;
  auto helper = HelperProcess::Start(options).ValueOrDie();
  const auto read = ReadAll(helper.get());
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(CodeOf(read.status()), ErrorCode::kUnavailable);
  EXPECT_NE(read.status().message().find("has said nothing for 200 ms"), std::string::npos);
}

TEST(HelperProcess, IsKilledWithItsChildrenWhenNobodyWantsItAnyMore) {
  auto helper =
      HelperProcess::Start(Shell("trap '' TERM INT; sleep 1000 & echo $!; wait")).ValueOrDie();
  std::array<char, 32> text{};
  ASSERT_GT(helper->Read(text.size() - 1, text.data()).ValueOrDie(), 0);
  const pid_t child = std::stoi(text.data());
  EXPECT_EQ(::kill(child, 0), 0);
  helper.reset();
  // Whoever inherits it collects it: gone, or a zombie for a moment.
  for (int tries = 0; tries < 1000 && ::kill(child, 0) == 0; ++tries) {
    const std::string path = "/proc/" + std::to_string(child) + "/stat";
    const int file = ::open(path.c_str(), O_RDONLY);
    std::array<char, 200> stat{};
    if (file >= 0) {
      [[maybe_unused]] const ssize_t got = ::read(file, stat.data(), stat.size() - 1);
      ::close(file);
    }
    if (std::string(stat.data()).find(") Z ") != std::string::npos) return;
    ::usleep(10'000);
  }
  EXPECT_NE(::kill(child, 0), 0);
}

TEST(HelperProcess, EndsWhenItIsNoLongerWanted) {
  HelperOptions options = Shell("sleep 1000");
  int looks = 0;
  options.check = [&] {
    return ++looks < 3 ? Status::OK() : MakeError(ErrorCode::kCancelled, "enough");
  };
  const auto helper = HelperProcess::Start(options).ValueOrDie();
  const auto read = ReadAll(helper.get());
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(CodeOf(read.status()), ErrorCode::kCancelled);
}

TEST(HelperProcess, HasNoDescriptorOfOurs) {
  const int ours = ::open("/dev/null", O_RDONLY);  // without O_CLOEXEC
  ASSERT_GE(ours, 3);
  const auto helper = HelperProcess::Start(Shell("ls /proc/self/fd | wc -w")).ValueOrDie();
  EXPECT_EQ(std::stoi(ReadAll(helper.get()).ValueOrDie()), 4);  // and the folder that ls reads
  ::close(ours);
}

}  // namespace
}  // namespace fletching::pull
