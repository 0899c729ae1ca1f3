// Runs a reader where no libFuzzer is there: all inputs of some folders as they are, then so many changed ones.
//   mformer_fuzz COUNT SEED DICTIONARY FOLDER...      with MFORMER_FUZZ_READER; DICTIONARY and FOLDERs need not be
//   there
// A file "read_…" must be read, any other may be refused.
// What ends the process is written to the file `failed-READER` in the folder MFORMER_FUZZ_FAILED (here), and said.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/mutator.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongest = 4096;
constexpr int kSecondsOfComputing = 10;           // an input takes a thousandth of that
constexpr rlim_t kMostMemory = rlim_t{1} << 30U;  // of inputs that are some kilobytes

// For the handler of signals, which may use nothing but system calls.
std::string failed_file;
const std::string* current = nullptr;

void write_current(int signal) {
  if (current != nullptr) {
    const int file = ::open(failed_file.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0666);
    if (file >= 0 && ::write(file, current->data(), current->size()) >= 0) ::close(file);
    constexpr char kSays[] =
        "the input that did it is in failed-READER; a signal of time means that it took too long\n";
    if (::write(STDERR_FILENO, kSays, sizeof kSays - 1) < 0) _exit(1);
  }
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

void watch() {
  static char stack[1 << 16];  // of its own, as the other may be used up
  const stack_t own{stack, 0, sizeof stack};
  ::sigaltstack(&own, nullptr);
  struct sigaction action {};
  action.sa_handler = write_current;
  action.sa_flags = SA_ONSTACK;
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGPROF}) ::sigaction(signal, &action, nullptr);
#ifndef __SANITIZE_ADDRESS__
  const rlimit memory{kMostMemory, kMostMemory};
  ::setrlimit(RLIMIT_DATA, &memory);
#endif
}

void run(const std::string& input) {
  current = &input;
  const itimerval bound{{0, 0}, {kSecondsOfComputing, 0}}, none{};
  ::setitimer(ITIMER_PROF, &bound, nullptr);
  // In a block of its own size, so that a sanitizer sees what is read beyond it.
  const std::vector<std::uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  ::setitimer(ITIMER_PROF, &none, nullptr);
}

std::string text_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<fs::path> files_of(char** folders, int count) {
  std::vector<fs::path> files;
  for (int i = 0; i < count; ++i) {
    if (!fs::is_directory(folders[i])) continue;
    for (const fs::directory_entry& entry : fs::directory_iterator(folders[i])) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// As it is. What is said to be read must be, or changes of it would reach no more than what refuses it.
bool run_file(const fs::path& file, const std::string& input) {
  const std::size_t before = mformer::fuzz::inputs_read();
  run(input);
  if (mformer::fuzz::inputs_read() > before || !file.filename().string().starts_with("read_")) return true;
  std::fprintf(stderr, "%s is refused\n", file.c_str());
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  const char* const reader = std::getenv("MFORMER_FUZZ_READER");
  if (argc < 4 || reader == nullptr) {
    std::fputs("usage: MFORMER_FUZZ_READER=NAME mformer_fuzz COUNT SEED DICTIONARY FOLDER...\n", stderr);
    return 2;
  }
  const char* const folder = std::getenv("MFORMER_FUZZ_FAILED");
  failed_file = (folder == nullptr ? fs::path() : fs::path(folder)) / ("failed-" + std::string(reader));
  watch();
  std::vector<std::string> inputs = {""};
  for (const fs::path& file : files_of(argv + 4, argc - 4)) {
    inputs.push_back(text_of(file));
    if (!run_file(file, inputs.back())) return 1;
  }
  const std::size_t given = inputs.size();
  mformer::fuzz::Mutator mutator(std::strtoull(argv[2], nullptr, 10), std::move(inputs),
                                 mformer::fuzz::read_dictionary(text_of(argv[3])));
  const long count = std::strtol(argv[1], nullptr, 10);
  for (long i = 0; i < count; ++i) run(mutator.next(kLongest));
  std::printf("%s: %zu inputs and %ld changed ones, of which %zu were read\n", reader, given, count,
              mformer::fuzz::inputs_read());
  return 0;
}
