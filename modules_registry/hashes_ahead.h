#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace mformer {

/// What tells one state of a file from another.
struct FileStamp {
  std::uint64_t inode = 0;
  std::int64_t size = 0;
  std::int64_t changed_s = 0;
  std::int64_t changed_ns = 0;
  bool operator==(const FileStamp&) const = default;
};

/// Nothing where there is no such file.
std::optional<FileStamp> stamp_of(const std::filesystem::path& file);

/// Reads files that are named by their hashes on another thread, in their order, up to 256 MiB beyond the last one that
/// was asked for, so that they are known, and in memory, when they are needed.
class HashesAhead {
 public:
  struct File {
    std::string hash;
    std::filesystem::path path;
  };

  explicit HashesAhead(std::vector<File> files);
  /// Waits for the file under way.
  ~HashesAhead();
  HashesAhead(const HashesAhead&) = delete;
  HashesAhead& operator=(const HashesAhead&) = delete;

  /// The state of the file in which its bytes had that hash; waits where it is just being read. Nothing where they
  /// have another, where it was not begun (then it won't be: the caller reads it), or is none of the files.
  std::optional<FileStamp> result(const std::string& hash);

 private:
  enum class State { waiting, reading, done };
  struct Entry {
    File file;
    std::uint64_t before = 0;  ///< Bytes of the files before it.
    State state = State::waiting;
    std::optional<FileStamp> right;
  };
  void read_all();

  std::vector<Entry> entries_;
  std::map<std::string, std::size_t> numbers_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t asked_ = 0;  ///< The last one in their order that was asked for.
  bool stopped_ = false;
  std::thread thread_;  ///< None where none can be had: then every file is its caller's.
};

}  // namespace mformer
