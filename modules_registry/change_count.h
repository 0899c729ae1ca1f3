#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace mformer {

/// The file `changes` beside the registry: the number of changes that the registry had seen at its last commit. A
/// registry that has seen fewer has lost some: its log was damaged, or an older copy was put back. The file is written
/// after each commit and may therefore be behind, by a commit that was killed right after; it is never ahead.
class ChangeCount {
 public:
  explicit ChangeCount(std::filesystem::path file) : file_(std::move(file)) {}

  enum class State { missing, damaged, known };
  struct Found {
    State state = State::missing;
    std::int64_t changes = 0;
  };
  Found read() const;

  /// Raises the number if it is less (or unknown). Any number of processes may do so at once. A failure is passed over:
  /// the commit is done already, and the next one tries again.
  void raise(std::int64_t changes) const noexcept;

  /// Sets the number, even to less. Throws Error.
  void set(std::int64_t changes) const;

  const std::filesystem::path& file() const { return file_; }

 private:
  std::filesystem::path file_;
};

}  // namespace mformer
