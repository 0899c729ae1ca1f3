#include "cli/far_end.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "cli/interrupt.h"
#include "modules_registry/error.h"
#include "modules_registry/shell_word.h"

namespace mformer::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kScheme = "ssh://";

Place checked(Place place, const std::string& text) {
  const auto is_odd = [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\x7f'; };
  bool odd = place.host.empty() || place.host.front() == '-' || place.path.empty();
  for (const char c : place.host) odd = odd || is_odd(c);
  for (const char c : place.port) odd = odd || c < '0' || c > '9';
  if (odd) {
    throw UsageError("'" + text + "' names no workspace on another machine",
                     "write host:path or ssh://user@host:22/path; a folder here with a colon in its name: ./" + text);
  }
  return place;
}

Place url_of(const std::string& text) {
  const std::string rest = text.substr(kScheme.size());
  const std::size_t slash = rest.find('/');
  Place place{rest.substr(0, slash), "", slash == std::string::npos ? "" : rest.substr(slash)};
  if (place.path.string().starts_with("/~/")) place.path = place.path.string().substr(3);
  if (const std::size_t colon = place.host.rfind(':'); colon != std::string::npos && place.host.back() != ']') {
    place.port = place.host.substr(colon + 1);
    place.host.resize(colon);
  }
  return checked(place, text);
}

/// A '~' at the beginning stays one: the shell there knows what it means.
std::string remote_word(const std::string& path) {
  return path.starts_with("~/") ? "~/" + shell_word(path.substr(2)) : shell_word(path);
}

struct Pipe {
  int ends[2] = {-1, -1};
  Pipe() {
    if (::pipe2(ends, O_CLOEXEC) != 0) throw Error(std::string("can't make a pipe: ") + std::strerror(errno));
  }
};

int start_program(const std::vector<std::string>& words, int in, int out) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);  // we ignore it, and a child would too
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t child = -1;
  const int code = ::posix_spawnp(&child, arguments.front(), &actions, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (code == 0) return child;
  throw Error("can't start '" + words.front() + "': " + std::strerror(code),
              "install ssh, or name the program that takes its place in MFORMER_SSH");
}

}  // namespace

Place place_of(const std::string& text) {
  if (text.starts_with(kScheme)) return url_of(text);
  std::error_code error;
  const std::size_t colon = text.find(':');
  const bool is_path = colon == std::string::npos || text.find('/') < colon || fs::exists(text, error);
  if (is_path) return {"", "", text};
  return checked({text.substr(0, colon), "", text.substr(colon + 1)}, text);
}

FarEnd::FarEnd(const Place& place) {
  const char* named = std::getenv("MFORMER_SSH");
  std::vector<std::string> words = {named != nullptr && *named != '\0' ? named : "ssh"};
  if (!place.port.empty()) words.insert(words.end(), {"-p", place.port});
  words.insert(words.end(), {place.host, "mformer --workspace " + remote_word(place.path.string()) + " transfer-peer"});
  const Pipe there, back;
  out_ = there.ends[1];
  in_ = back.ends[0];
  try {
    child_ = start_program(words, there.ends[0], back.ends[1]);
  } catch (...) {
    for (const int end : {there.ends[0], there.ends[1], back.ends[0], back.ends[1]}) ::close(end);
    throw;
  }
  ::close(there.ends[0]);
  ::close(back.ends[1]);
  wire_.emplace(in_, out_, [] { return interrupted(); });
}

FarEnd::~FarEnd() {
  ::close(out_);
  ::close(in_);
  while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace mformer::cli
