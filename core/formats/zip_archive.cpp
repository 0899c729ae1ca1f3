#include "core/formats/zip_archive.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <tuple>
#include <vector>

#include "core/formats/quoted_name.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

constexpr std::uint64_t kMaxDirectoryBytes = 64'000'000;  // some half a million entries
constexpr std::uint32_t kIn64Bits = 0xFFFFFFFF;           // the number stands in the zip64 field
constexpr std::size_t kEndBytes = 22, kEnd64Bytes = 56, kLocatorBytes = 20, kEntryBytes = 46, kLocalBytes = 30;

[[noreturn]] void refuse_archive(const InputFile& file, const std::string& why, const std::string& hint) {
  throw Error("'" + file.path().string() + "' can't be read as a zip archive: " + why, hint);
}

[[noreturn]] void refuse_archive(const InputFile& file, const std::string& why) {
  refuse_archive(file, why, "it is cut short or damaged: fetch it, or save it, again");
}

// A little-endian number at `at`, which must be there.
template <typename Number>
Number number(std::string_view bytes, std::size_t at) {
  Number value{};
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

bool starts_with(std::string_view bytes, char third, char fourth) {
  return bytes.size() >= 4 && bytes[0] == 'P' && bytes[1] == 'K' && bytes[2] == third && bytes[3] == fourth;
}

struct Directory {
  std::uint64_t entries = 0, bytes = 0, offset = 0;
  std::uint64_t end = 0;  ///< Where the records after it begin.
};

// The record with 64-bit numbers, which counts where it is there: PyTorch always writes it. `end` is where the last
// record of the file starts. Nothing when there is none.
std::optional<Directory> read_end64(const InputFile& file, std::uint64_t end) {
  if (end < kLocatorBytes + kEnd64Bytes) return std::nullopt;
  const std::string locator = file.text(end - kLocatorBytes, kLocatorBytes);
  if (!starts_with(locator, 6, 7)) return std::nullopt;
  const auto at = number<std::uint64_t>(locator, 8);
  if (at > end - kLocatorBytes - kEnd64Bytes) refuse_archive(file, "its last record is missing");
  const std::string record = file.text(at, kEnd64Bytes);
  if (!starts_with(record, 6, 6)) refuse_archive(file, "its last record is missing");
  return Directory{number<std::uint64_t>(record, 32), number<std::uint64_t>(record, 40),
                   number<std::uint64_t>(record, 48), at};
}

Directory find_directory(const InputFile& file) {
  constexpr std::uint64_t kMostComment = 0xFFFF;
  const std::uint64_t tail_bytes = std::min(file.size(), kEndBytes + kMostComment);
  const std::uint64_t tail_start = file.size() - tail_bytes;
  const std::string tail = file.text(tail_start, tail_bytes);
  for (std::size_t at = tail.size() < kEndBytes ? 0 : tail.size() - kEndBytes + 1; at-- > 0;) {
    const std::string_view record = std::string_view(tail).substr(at);
    // The comment must end with the file, or else this is not the record but something that looks like it.
    if (!starts_with(record, 5, 6) || kEndBytes + number<std::uint16_t>(record, 20) != record.size()) continue;
    if (number<std::uint32_t>(record, 4) != 0) refuse_archive(file, "it is one part of several");
    const std::uint64_t end = tail_start + at;
    if (const auto directory = read_end64(file, end)) return *directory;
    return {number<std::uint16_t>(record, 10), number<std::uint32_t>(record, 12), number<std::uint32_t>(record, 16),
            end};
  }
  refuse_archive(file, "its directory is missing");
}

struct Record {
  std::string name;
  std::uint64_t local = 0;  ///< Where its own header starts.
  std::uint64_t bytes = 0;
};

// Reads the directory's records one after the other.
class DirectoryReader {
 public:
  DirectoryReader(const InputFile& file, std::string_view bytes) : file_(file), bytes_(bytes) {}

  bool at_end() const { return bytes_.empty(); }

  Record next() {
    const std::string_view fixed = take(kEntryBytes);
    if (!starts_with(fixed, 1, 2)) refuse_archive(file_, "its directory is damaged");
    const auto flags = number<std::uint16_t>(fixed, 8), method = number<std::uint16_t>(fixed, 10);
    std::uint64_t packed = number<std::uint32_t>(fixed, 20), bytes = number<std::uint32_t>(fixed, 24);
    std::uint64_t local = number<std::uint32_t>(fixed, 42);
    Record record{std::string(take(number<std::uint16_t>(fixed, 28)))};
    const std::string_view extra = take(number<std::uint16_t>(fixed, 30));
    take(number<std::uint16_t>(fixed, 32));  // a comment
    read_zip64(extra, {&bytes, &packed, &local});
    if ((flags & 1U) != 0)
      refuse_archive(file_, quoted_name(record.name) + " is encrypted", "save it without encryption");
    if (method != 0 || packed != bytes) {
      refuse_archive(file_, quoted_name(record.name) + " is compressed",
                     "torch.save compresses nothing: was the file packed again? save it with torch.save");
    }
    record.local = local;
    record.bytes = bytes;
    return record;
  }

 private:
  std::string_view take(std::size_t count) {
    if (count > bytes_.size()) refuse_archive(file_, "its directory is damaged");
    const std::string_view taken = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return taken;
  }

  // The numbers that did not fit in 32 bits stand in this field, in this order.
  void read_zip64(std::string_view extra, const std::vector<std::uint64_t*>& numbers) const {
    while (extra.size() >= 4) {
      const auto id = number<std::uint16_t>(extra, 0);
      const std::size_t length = number<std::uint16_t>(extra, 2);
      if (length > extra.size() - 4) refuse_archive(file_, "its directory is damaged");
      std::string_view field = extra.substr(4, length);
      extra.remove_prefix(4 + length);
      if (id != 1) continue;
      for (std::uint64_t* const value : numbers) {
        if (*value != kIn64Bits) continue;
        if (field.size() < 8) refuse_archive(file_, "its directory is damaged");
        *value = number<std::uint64_t>(field, 0);
        field.remove_prefix(8);
      }
      return;
    }
  }

  const InputFile& file_;
  std::string_view bytes_;
};

// Where the bytes of the record start: behind its own header, which must agree with the directory.
std::uint64_t data_offset(const InputFile& file, const Record& record, std::uint64_t directory) {
  const auto damaged = [&] { refuse_archive(file, "the place of " + quoted_name(record.name) + " is damaged"); };
  if (record.local > directory || directory - record.local < kLocalBytes + record.name.size()) damaged();
  const std::string header = file.text(record.local, kLocalBytes + record.name.size());
  if (!starts_with(header, 3, 4) || number<std::uint16_t>(header, 26) != record.name.size() ||
      std::string_view(header).substr(kLocalBytes) != record.name) {
    damaged();
  }
  const std::uint64_t offset = record.local + header.size() + number<std::uint16_t>(header, 28);
  if (offset > directory || record.bytes > directory - offset) damaged();
  return offset;
}

}  // namespace

bool ZipArchive::is_archive(std::string_view beginning) {
  return starts_with(beginning, 3, 4) || starts_with(beginning, 5, 6);
}

const ZipArchive::Entry* ZipArchive::find(std::string_view name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

ZipArchive ZipArchive::open(const std::filesystem::path& path) {
  ZipArchive archive(InputFile::open(path));
  const InputFile& file = archive.file_;
  const Directory directory = find_directory(file);
  if (directory.offset > directory.end || directory.bytes != directory.end - directory.offset) {
    refuse_archive(file, "its directory is not where it should be");
  }
  if (directory.bytes > kMaxDirectoryBytes) refuse_archive(file, "its directory is too large");
  const std::string bytes = file.text(directory.offset, directory.bytes);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> places;  // from the entry's own header to the end of its bytes
  for (DirectoryReader reader(file, bytes); !reader.at_end();) {
    Record record = reader.next();
    const Entry entry{data_offset(file, record, directory.offset), record.bytes};
    places.emplace_back(record.local, entry.offset + entry.bytes);
    if (!archive.entries_.emplace(record.name, entry).second) {
      refuse_archive(file, quoted_name(record.name) + " is in it twice");
    }
  }
  if (archive.entries_.size() != directory.entries) refuse_archive(file, "its directory is cut short");
  std::sort(places.begin(), places.end());
  for (std::size_t i = 1; i < places.size(); ++i) {
    if (places[i].first < places[i - 1].second) refuse_archive(file, "two of its files overlap");
  }
  return archive;
}

}  // namespace mformer
