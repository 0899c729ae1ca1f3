#pragma once

#include <sys/types.h>

#include <mutex>
#include <string>

#include "modules_registry/error.h"

namespace mformer {

/// A template can't write this context, today and tomorrow: it is none, or raises an error itself, or needs too much
/// memory for it.
class JinjaRefusal : public Error {
 public:
  using Error::Error;
};

/// A Jinja template that may come from anywhere. It is read and runs in a process of its own, a copy of this one, which
/// has 5 seconds of computing time and 512 MiB of further memory for each text, no files, and this process's stack:
/// one that never ends, that calls itself for ever, or that writes without end costs its process and gives a sentence.
///
/// The process starts with the first text and lives until rest() or as long as this object. Texts may be asked for in
/// many threads; they are made one after the other.
class JinjaProcess {
 public:
  /// `source` stands for the template in errors: "the chat template of 'main'".
  JinjaProcess(std::string text, std::string source);
  ~JinjaProcess();
  JinjaProcess(const JinjaProcess&) = delete;
  JinjaProcess& operator=(const JinjaProcess&) = delete;

  /// The text for a context (JinjaEngine::render). Throws JinjaRefusal, and Error where the template does not come to
  /// an end, where its process ends, or can't be started.
  std::string render(const std::string& context) const;

  /// Ends the process, until the next text. As long as it lives, memory that this process changes is there twice.
  void rest() const;

 private:
  void start() const;
  int end() const;
  [[noreturn]] void refuse_end() const;

  std::string text_, source_;
  mutable std::mutex mutex_;
  mutable int socket_ = -1;
  mutable pid_t process_ = -1;
};

}  // namespace mformer
