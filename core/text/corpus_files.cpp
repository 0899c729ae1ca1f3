#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "core/text/documents.h"
#include "core/text/utf8.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"
#include "modules_registry/printable.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;
constexpr size_t kNamed = 5;  // of what is left out
constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;

int64_t nanoseconds(const timespec& time) {
  return time.tv_sec * kNanosecondsPerSecond + time.tv_nsec;
}

class Lister {
 public:
  explicit Lister(CorpusListing& out) : out_(out) {}

  void add_file(const fs::path& path, std::string relative_path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) throw_file_error("read", path, errno);
    out_.total_bytes += info.st_size;
    out_.files.push_back({path, std::move(relative_path), info.st_size, nanoseconds(info.st_mtim),
                          nanoseconds(info.st_ctim), info.st_ino});
  }

  void add_folder(const fs::path& folder, const std::string& prefix) {
    std::error_code failed;
    for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end; entry.increment(failed)) {
      add_entry(*entry, prefix);
    }
    if (failed) throw_file_error("list", folder, failed.value());
  }

 private:
  void add_entry(const fs::directory_entry& entry, const std::string& prefix) {
    const std::string name = entry.path().filename().string();
    std::error_code failed;
    const fs::file_status target = entry.status(failed);
    if (name.starts_with('.')) {
      ++out_.skipped.hidden_skipped;
    } else if (fs::is_regular_file(target)) {
      add_file(entry.path(), prefix + name);
    } else if (fs::is_directory(target) && !entry.is_symlink(failed)) {
      add_folder(entry.path(), prefix + name + "/");
    } else {
      ++out_.skipped.other_skipped;
      const char* const what = entry.is_symlink(failed) ? "is a link, but to no file" : "is neither file nor folder";
      if (out_.skipped.examples.size() < kNamed) {
        out_.skipped.examples.push_back("'" + printable(prefix + name) + "' " + what);
      }
    }
  }

  CorpusListing& out_;
};

}  // namespace

CorpusListing list_corpus(const fs::path& data) {
  CorpusListing listing;
  Lister lister(listing);
  std::error_code failed;
  const fs::file_status status = fs::status(data, failed);
  if (status.type() == fs::file_type::not_found) {
    throw Error("there is no data at '" + printable(data.string()) + "'", "give a folder of text files, or one file");
  }
  if (failed) throw_file_error("read", data, failed.value());
  if (fs::is_directory(status)) {
    lister.add_folder(data, "");
  } else if (fs::is_regular_file(status)) {
    lister.add_file(data, data.filename().string());
  } else {
    throw Error("'" + printable(data.string()) + "' is neither a folder nor a file",
                "save what it holds as a file: it is read more than once");
  }
  std::ranges::sort(listing.files, {}, &CorpusFile::relative_path);
  if (listing.files.empty()) {
    throw Error("there are no files in '" + printable(data.string()) + "'",
                "put UTF-8 text or .jsonl files there; names that start with a dot are skipped");
  }
  return listing;
}

}  // namespace mformer
