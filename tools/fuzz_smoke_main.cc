// The short run of a fuzz program, without libFuzzer: replays a corpus folder, then feeds seeded
// mutations of it. A crash or a hang prints the one input that caused it as options to repeat.
//
//   segment_reader_fuzz tests/corpus/segment_reader [--runs N] [--seed S] [--only I]
//
// Does not measure coverage and learns nothing between runs; `make fuzz` is for that.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <signal.h>
#include <string>
#include <unistd.h>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes);

namespace {

using Input = std::vector<uint8_t>;
using Random = std::mt19937_64;

constexpr size_t kInputBytesMax = 64 * 1024;
constexpr unsigned kInputSecondsMax = 20;

uint64_t seed = 0;
int64_t run_index = -1;  // -1 while the corpus is replayed
char corpus_file[512] = "(none)";

// Called on a fatal signal: only async-signal-safe calls from here on.
void Say(const char* text) { (void)!write(STDERR_FILENO, text, strlen(text)); }

void SayNumber(uint64_t number) {
  char digits[21] = {};
  char* at = digits + 20;
  do {
    *--at = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  Say(at);
}

void SayWhichInput() {
  if (run_index < 0) {
    Say("\nfuzz smoke: died on corpus file ");
    Say(corpus_file);
  } else {
    Say("\nfuzz smoke: died; repeat with --seed ");
    SayNumber(seed);
    Say(" --only ");
    SayNumber(static_cast<uint64_t>(run_index));
  }
  Say("\n");
}

extern "C" void OnFatalSignal(int number) {
  if (number == SIGALRM) Say("\nfuzz smoke: one input took too long");
  SayWhichInput();
  signal(number == SIGALRM ? SIGABRT : number, SIG_DFL);
  raise(number == SIGALRM ? SIGABRT : number);
}

size_t Below(Random& random, size_t limit) { return limit == 0 ? 0 : random() % limit; }

void OverwriteNumber(Random& random, Input& input) {
  static constexpr uint64_t kEdges[] = {0,
                                        1,
                                        0x7f,
                                        0x80,
                                        0xff,
                                        0x7fff,
                                        0xffff,
                                        0x7fffffff,
                                        0xffffffff,
                                        0x7fffffffffffffff,
                                        0xffffffffffffffff};
  const uint64_t edge = kEdges[Below(random, std::size(kEdges))];
  const size_t width = size_t{1} << Below(random, 4);
  if (input.size() < width) return;
  memcpy(input.data() + Below(random, input.size() - width + 1), &edge, width);
}

void InsertBytes(Random& random, Input& input) {
  const size_t count = 1 + Below(random, 16);
  const size_t at = Below(random, input.size() + 1);
  Input fresh(count);
  for (uint8_t& byte : fresh) byte = static_cast<uint8_t>(random());
  input.insert(input.begin() + static_cast<int64_t>(at), fresh.begin(), fresh.end());
}

void EraseBytes(Random& random, Input& input) {
  if (input.empty()) return;
  const size_t at = Below(random, input.size());
  const size_t count = std::min(input.size() - at, 1 + Below(random, 32));
  const auto first = input.begin() + static_cast<int64_t>(at);
  input.erase(first, first + static_cast<int64_t>(count));
}

void Splice(Random& random, const std::vector<Input>& corpus, Input& input) {
  if (corpus.empty()) return;
  const Input& other = corpus[Below(random, corpus.size())];
  input.resize(Below(random, input.size() + 1));
  const size_t from = Below(random, other.size() + 1);
  input.insert(input.end(), other.begin() + static_cast<int64_t>(from), other.end());
}

Input Mutate(Random& random, const std::vector<Input>& corpus) {
  Input input;
  if (!corpus.empty() && Below(random, 20) != 0) input = corpus[Below(random, corpus.size())];
  const size_t steps = 1 + Below(random, 5);
  for (size_t step = 0; step < steps; ++step) {
    const size_t at = Below(random, input.size());
    switch (Below(random, 7)) {
      case 0:
        if (!input.empty()) input[at] ^= static_cast<uint8_t>(1u << Below(random, 8));
        break;
      case 1:
        if (!input.empty()) input[at] = static_cast<uint8_t>(random());
        break;
      case 2:
        OverwriteNumber(random, input);
        break;
      case 3:
        InsertBytes(random, input);
        break;
      case 4:
        EraseBytes(random, input);
        break;
      case 5:
        input.resize(Below(random, input.size() + 1));
        break;
      default:
        Splice(random, corpus, input);
        break;
    }
  }
  if (input.size() > kInputBytesMax) input.resize(kInputBytesMax);
  return input;
}

// The bytes go into an allocation of exactly their size, so that ASan sees a read past the end.
void RunOne(const Input& input) {
  const Input exact(input);
  alarm(kInputSecondsMax);
  (void)LLVMFuzzerTestOneInput(exact.data(), exact.size());
  alarm(0);
}

std::vector<Input> ReadCorpus(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code ignored;  // a missing folder is an empty corpus
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    if (entry.is_regular_file()) paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Input> corpus;
  for (const std::string& path : paths) {
    std::ifstream file(path, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    snprintf(corpus_file, sizeof(corpus_file), "%s", path.c_str());
    RunOne(corpus.back());
  }
  return corpus;
}

}  // namespace

// Sanitizers end the process themselves; they call this first where they are linked in.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

int main(int argc, char** argv) {
  std::string folder;
  int64_t runs = 2000;
  int64_t only = -1;
  seed = std::random_device{}() % 1'000'000;
  for (int k = 1; k < argc; ++k) {
    const bool has_value = k + 1 < argc;
    if (strcmp(argv[k], "--runs") == 0 && has_value)
      runs = strtoll(argv[++k], nullptr, 10);
    else if (strcmp(argv[k], "--seed") == 0 && has_value)
      seed = strtoull(argv[++k], nullptr, 10);
    else if (strcmp(argv[k], "--only") == 0 && has_value)
      only = strtoll(argv[++k], nullptr, 10);
    else
      folder = argv[k];
  }
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(&SayWhichInput);
  for (int number : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGALRM}) {
    signal(number, &OnFatalSignal);
  }

  const std::vector<Input> corpus = ReadCorpus(folder);
  printf("fuzz smoke: %zu corpus files, %lld runs, --seed %llu\n", corpus.size(),
         static_cast<long long>(runs), static_cast<unsigned long long>(seed));
  fflush(stdout);
  for (run_index = only >= 0 ? only : 0; run_index < (only >= 0 ? only + 1 : runs); ++run_index) {
    // Each run has its own generator, so any one can be repeated without those before it.
    Random random(seed * 1'000'003 + static_cast<uint64_t>(run_index));
    RunOne(Mutate(random, corpus));
  }
  return 0;
}
