#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace mformer {

/// Borrowed bytes; the caller keeps them alive for the length of the call.
using Bytes = std::span<const std::byte>;

/// The bytes of a text, without a copy.
Bytes as_bytes(std::string_view text);

/// Replaces `path` by exactly these bytes, or leaves it as it was: temporary name in the same folder, fsync, rename,
/// fsync of the folder. After the return the file survives a power failure. A process killed halfway leaves at worst a
/// file whose name starts with kTemporaryPrefix. New files get the permissions `mode` (octal, less the umask).
/// Throws Error when the folder is missing or read-only, or the disk is full.
void write_file_atomically(const std::filesystem::path& path, Bytes bytes, unsigned mode = 0666);

/// The same for bytes that lie in several places: written one after the other, without joining them first.
void write_file_atomically(const std::filesystem::path& path, std::span<const Bytes> pieces, unsigned mode = 0666);

/// Creates a file that did not exist, and starts to bring it to disk. Only sync_file_system makes it survive a power
/// failure: for many files far faster than one fsync each. On failure nothing is left, and Error is thrown.
void write_new_file(const std::filesystem::path& path, std::span<const Bytes> pieces, unsigned mode = 0666);

/// Waits until everything written so far to the file system that holds `folder` is on disk.
void sync_file_system(const std::filesystem::path& folder);

/// Makes the names in a folder (new, renamed or gone files) survive a power failure. Throws Error if that fails.
void sync_folder(const std::filesystem::path& folder);

/// Names of unfinished files start like this.
inline constexpr std::string_view kTemporaryPrefix = ".tmp-";

/// A new such name in the folder of `path`.
std::filesystem::path temporary_beside(const std::filesystem::path& path);

/// The whole file. Throws Error when it is missing, a folder, a pipe or a device, or unreadable.
std::string read_file(const std::filesystem::path& path);

/// Two lower-case hexadecimal digits for each byte.
std::string to_hex(Bytes bytes);

/// SHA-256, as 64 lower-case hexadecimal digits.
std::string sha256_hex(Bytes bytes);
std::string sha256_hex(std::string_view text);

/// SHA-256 as its 32 bytes. For many short texts: about a microsecond each.
std::array<std::byte, 32> sha256_digest(Bytes bytes);

/// SHA-256 of a file's bytes, read in blocks (any size). Throws Error like read_file.
std::string sha256_file(const std::filesystem::path& path);

/// SHA-256 of bytes that come in pieces. One thread at a time.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(Bytes bytes);
  /// The digest as 64 hexadecimal digits; ends this object's use.
  std::string finish_hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Throws the Error for a failed system call: "can't <verb> '<path>': <reason of the errno code>", with a hint for full
/// disks, permissions and wrong paths.
[[noreturn]] void throw_file_error(std::string_view verb, const std::filesystem::path& path, int code);

/// 12 random hexadecimal digits from the operating system: lasting identities of modules and operations. Independent of
/// any seed, so that two runs with the same seed still make different modules.
std::string random_uid();

/// Milliseconds since 1970, UTC.
std::int64_t now_ms();

}  // namespace mformer
