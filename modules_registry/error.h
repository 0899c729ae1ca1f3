#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace mformer {

/// What went wrong and where, in one sentence without a final full stop, and what the user can do about it.
/// The command line prints both ("error: …", "hint: …") and exits with 1; nothing below it prints.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& what, std::string hint = "") : std::runtime_error(what), hint_(std::move(hint)) {}
  /// Empty when there is nothing useful to say.
  const std::string& hint() const { return hint_; }

 private:
  std::string hint_;
};

/// The caller asked for something that can't be meant (an unknown name, a value out of range): exit code 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

/// The disk, or this user's share of it, is full.
class NoSpaceError : public Error {
 public:
  using Error::Error;
};

/// The caller's own wish to stop (Registry::stop_when, Watcher::should_stop) ended the work early, in good order.
class StoppedError : public Error {
 public:
  using Error::Error;
};

}  // namespace mformer
