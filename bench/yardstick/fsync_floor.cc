// What a durable append costs: write n bytes at the end of a file, fdatasync, again and again.
//
// The floor under every acknowledged write. By default the file grows with each append, as a log
// does;
// --prepared writes into a file that already has its full length, where fdatasync has no length to
// record.
//
// Build alone: g++ -std=c++20 -O2 -o fsync_floor fsync_floor.cc
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "measure.h"

namespace {

using namespace yardstick;

struct Settings {
  std::string dir;
  int64_t bytes, tries;
  bool prepared;
};

Settings ParseSettings(int argc, char** argv) {
  Flags flags(argc, argv, {"prepared", "smoke"});
  const bool smoke = flags.Switch("smoke", "few tries: shows that it works, measures nothing");
  Settings s;
  s.dir =
      flags.Text("dir", ".", "folder on the disk to measure; the file in it is removed at the end");
  s.bytes = flags.Integer("bytes", 56'000, 1, "bytes of one append");
  s.tries = flags.Integer("tries", smoke ? 5 : 2'000, 1, "timed appends");
  s.prepared = flags.Switch("prepared", "write into a file of full length instead of growing one");
  flags.Done();
  return s;
}

void Check(bool good, const std::string& what, const std::string& path) {
  if (!good) Fail(what + " " + path + ": " + std::strerror(errno));
}

// Bytes that differ from append to append, so that nothing below can leave them out.
void Refill(std::string& bytes, Random& random) {
  for (size_t at = 0; at + 8 <= bytes.size(); at += 8) {
    const uint64_t word = random.Next();
    std::memcpy(bytes.data() + at, &word, 8);
  }
}

void WriteAll(int file, const std::string& bytes, int64_t offset, const std::string& path) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n =
        pwrite(file, bytes.data() + done, bytes.size() - done, offset + static_cast<int64_t>(done));
    Check(n > 0, "cannot write", path);
    done += static_cast<size_t>(n);
  }
}

std::vector<int64_t> TimeAppends(const Settings& s, int file, const std::string& path) {
  constexpr int64_t kWarmup = 10;
  std::string bytes(static_cast<size_t>(s.bytes), 'z');
  Random random(1);
  if (s.prepared) {
    for (int64_t i = 0; i < s.tries + kWarmup; ++i) WriteAll(file, bytes, i * s.bytes, path);
    Check(fsync(file) == 0, "cannot fsync", path);
  }
  std::vector<int64_t> nanos;
  for (int64_t i = 0; i < s.tries + kWarmup; ++i) {
    Refill(bytes, random);
    const int64_t start = NowNanos();
    WriteAll(file, bytes, i * s.bytes, path);
    Check(fdatasync(file) == 0, "cannot fdatasync", path);
    if (i >= kWarmup) nanos.push_back(NowNanos() - start);
  }
  return nanos;
}

}  // namespace

int main(int argc, char** argv) {
  const Settings s = ParseSettings(argc, argv);
  const std::string path = s.dir + "/fsync_floor." + std::to_string(getpid()) + ".tmp";
  const int file = open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  Check(file >= 0, "cannot create", path);
  unlink(path.c_str());  // gone with the process, however it ends
  const std::vector<int64_t> nanos = TimeAppends(s, file, path);
  const Percentiles p = Summarise(nanos);
  std::printf("%lld appends of %lld bytes + fdatasync: p50 %.1f us, p90 %.1f, p99 %.1f\n",
              static_cast<long long>(s.tries), static_cast<long long>(s.bytes), p.p50, p.p90,
              p.p99);
  JsonLine()
      .Add("yardstick", "fsync")
      .Add("bytes", s.bytes)
      .Add("tries", s.tries)
      .Add("prepared", s.prepared)
      .Add(p)
      .Add("quietest_p50_us", QuietestP50(nanos, 200))
      .Add("per_second", 1e6 / p.mean)
      .Print();
}
