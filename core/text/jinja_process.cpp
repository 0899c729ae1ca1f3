#include "core/text/jinja_process.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <limits>
#include <new>
#include <optional>
#include <stdexcept>
#include <utility>

#include "core/text/jinja_engine.h"
#include "core/text/utf8.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

constexpr rlim_t kSeconds = 5;
constexpr rlim_t kMemory = 512UL << 20U;
/// Of a text that is made, and of a sentence about why there is none.
constexpr std::uint64_t kLongestText = 256UL << 20U;
constexpr std::size_t kLongestReason = 300;
/// Where the other process keeps its end of the line.
constexpr int kLine = 3;

enum class Answer : std::uint8_t { text, error, memory };

bool send_all(int line, const void* data, std::size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t sent = send(line, at, bytes, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    at += sent;
    bytes -= static_cast<std::size_t>(sent);
  }
  return true;
}

bool receive_all(int line, void* data, std::size_t bytes) {
  char* at = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t got = recv(line, at, bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    bytes -= static_cast<std::size_t>(got);
  }
  return true;
}

bool send_text(int line, const std::string& text) {
  const std::uint64_t bytes = text.size();
  return send_all(line, &bytes, sizeof bytes) && send_all(line, text.data(), text.size());
}

std::optional<std::string> receive_text(int line) {
  std::uint64_t bytes = 0;
  if (!receive_all(line, &bytes, sizeof bytes) || bytes > kLongestText) return std::nullopt;
  std::string text(bytes, '\0');
  if (!receive_all(line, text.data(), text.size())) return std::nullopt;
  return text;
}

// ---- in the process of the template --------------------------------------------------------------------------------

void lower_limit(int resource, rlim_t value) {
  rlimit limit{};
  getrlimit(static_cast<__rlimit_resource>(resource), &limit);
  limit.rlim_cur = limit.rlim_max == RLIM_INFINITY ? value : std::min(value, limit.rlim_max);
  setrlimit(static_cast<__rlimit_resource>(resource), &limit);
}

/// Beyond what the copied process has mapped.
void limit_memory() {
  std::uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  if (pages > 0) lower_limit(RLIMIT_AS, pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + kMemory);
}

void limit_time() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  lower_limit(RLIMIT_CPU, static_cast<rlim_t>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + kSeconds);
}

void confine() {
  for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGXCPU, SIGTERM}) std::signal(signal, SIG_DFL);
  std::signal(SIGINT, SIG_IGN);  // of a terminal: the other process decides what comes of it
  lower_limit(RLIMIT_CORE, 0);
  lower_limit(RLIMIT_FSIZE, 0);
  limit_memory();
}

Answer answer(std::optional<JinjaEngine>& engine, const std::string& source, const std::string& context,
              std::string& text) {
  try {
    if (!engine) engine.emplace(source);
    text = engine->render(context);
    if (text.size() <= kLongestText) return Answer::text;
    text.clear();
    return Answer::memory;
  } catch (const std::bad_alloc&) {
    return Answer::memory;
  } catch (const std::exception& error) {
    text = error.what();
    // minja wraps what it was thrown, at each place that it comes from.
    return text.starts_with("std::bad_alloc") ? Answer::memory : Answer::error;
  } catch (...) {
    text = "an error without a name";
    return Answer::error;
  }
}

[[noreturn]] void serve(int line, const std::string& source) {
  dup2(line, kLine);
  close_range(kLine + 1, std::numeric_limits<unsigned>::max(), 0);
  confine();
  std::optional<JinjaEngine> engine;
  while (const auto context = receive_text(kLine)) {
    limit_time();
    std::string text;
    const Answer result = answer(engine, source, *context, text);
    if (!send_all(kLine, &result, sizeof result) || !send_text(kLine, text)) break;
  }
  _exit(0);
}

/// minja's sentence without its place, which is one in the template that with_spaces_done() made.
std::string reason_of(const std::string& what) {
  std::string reason = what.substr(0, what.find('\n'));
  reason = reason.substr(0, reason.find(" at row "));
  if (reason.size() > kLongestReason) reason = reason.substr(0, kLongestReason) + "…";
  return replace_invalid_utf8(reason);
}

constexpr const char* kOtherTemplate =
    "correct the template (a model's is chat_template.jinja beside its checkpoint, to be imported again), or name "
    "another file: mformer generate --chat --chat-template FILE";

}  // namespace

JinjaProcess::JinjaProcess(std::string text, std::string source) : text_(std::move(text)), source_(std::move(source)) {}

JinjaProcess::~JinjaProcess() {
  end();
}

void JinjaProcess::rest() const {
  const std::lock_guard lock(mutex_);
  end();
}

/// How it ended, as waitpid() tells it.
int JinjaProcess::end() const {
  if (process_ < 0) return 0;
  close(socket_);
  kill(process_, SIGKILL);
  int status = 0;
  while (waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  process_ = -1;
  return status;
}

void JinjaProcess::start() const {
  if (process_ >= 0) return;
  int line[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line) != 0) {
    throw Error("no process can be started for " + source_, "are too many files open?");
  }
  process_ = fork();
  if (process_ == 0) serve(line[1], text_);
  close(line[1]);
  if (process_ < 0) {
    close(line[0]);
    throw Error("no process can be started for " + source_, "are there too many processes, or is the memory full?");
  }
  socket_ = line[0];
}

void JinjaProcess::refuse_end() const {
  const int status = end();
  const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  const auto refuse = [this](const std::string& why) { throw Error(source_ + " " + why, kOtherTemplate); };
  if (signal == SIGXCPU) refuse("did not come to an end in " + std::to_string(kSeconds) + " seconds");
  if (signal == SIGSEGV || signal == SIGBUS) refuse("goes too deep: it calls itself without an end, or nests too far");
  if (signal == SIGFPE) refuse("can't be used: it divides by zero");
  throw Error(source_ + " could not be run: its process ended", kOtherTemplate);
}

std::string JinjaProcess::render(const std::string& context) const {
  const std::lock_guard lock(mutex_);
  start();
  Answer result = Answer::error;
  std::optional<std::string> text;
  if (send_text(socket_, context) && receive_all(socket_, &result, sizeof result)) text = receive_text(socket_);
  if (!text) refuse_end();
  if (result == Answer::memory) {
    throw JinjaRefusal(source_ + " needs more than " + std::to_string(kMemory >> 20U) + " MiB of memory",
                       kOtherTemplate);
  }
  if (result == Answer::error) throw JinjaRefusal(source_ + " can't be used: " + reason_of(*text), kOtherTemplate);
  return *std::move(text);
}

}  // namespace mformer
