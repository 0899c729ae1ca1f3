#include "cli/hand_over.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "cli/interrupt.h"
#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

char** remembered = nullptr;

/// Where links are followed: the program may be called by a link of another folder.
std::filesystem::path computing_program() {
  const std::filesystem::path own = std::filesystem::read_symlink("/proc/self/exe");
  return own.parent_path().parent_path() / "libexec" / "mformer" / "mformer-compute";
}

}  // namespace

void remember_arguments(char** argv) {
  remembered = argv;
}

std::vector<std::string> typed_words() {
  std::vector<std::string> words;
  for (char** word = remembered; word != nullptr && *word != nullptr; ++word) words.emplace_back(*word);
  if (!words.empty()) words.erase(words.begin());
  return words;
}

void hand_over() {
  let_signals_end_the_process();  // one that came after the next line would be forgotten by the new program
  if (interrupted()) throw Interrupted("nothing was done", "the same command again begins the work");
  const std::filesystem::path program = computing_program();
  execv(program.c_str(), remembered);
  throw Error("the part of mformer that computes can't be started: '" + program.string() +
                  "': " + std::generic_category().message(errno),
              "install mformer anew: its folders bin and libexec belong side by side");
}

}  // namespace mformer::cli
