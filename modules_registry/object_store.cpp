#include "modules_registry/object_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "modules_registry/error.h"

namespace mformer {

namespace {

namespace fs = std::filesystem;

bool is_hash(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool has_hash(const fs::path& file, const std::string& hash) {
  try {
    return sha256_file(file) == hash;
  } catch (const Error&) {
    return false;  // unreadable: written again
  }
}

[[noreturn]] void throw_cut_off(const std::string& hash) {
  throw Error("what came was cut off within object " + hash, "run the same again: what has come is not sent again");
}

/// Writes a new file of `size` bytes as they come and returns their hash. On failure nothing is left.
std::string write_pieces(const fs::path& file, const std::string& hash, std::int64_t size,
                         const ObjectStore::Reader& read) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
  if (descriptor < 0) throw_file_error("write", file, errno);
  Sha256 sha;
  try {
    std::vector<std::byte> piece(std::size_t{1} << 20);
    for (std::int64_t left = size; left > 0;) {
      const auto wanted = std::min<std::size_t>(piece.size(), static_cast<std::size_t>(left));
      const std::size_t count = read(std::span(piece).first(wanted));
      if (count == 0) throw_cut_off(hash);
      sha.update(Bytes(piece).first(count));
      left -= static_cast<std::int64_t>(count);
      for (std::size_t done = 0; done < count;) {
        const ssize_t written = ::write(descriptor, piece.data() + done, count - done);
        if (written < 0 && errno != EINTR) throw_file_error("write", file, errno);
        if (written > 0) done += static_cast<std::size_t>(written);
      }
    }
  } catch (...) {
    ::close(descriptor);
    ::unlink(file.c_str());
    throw;
  }
  if (::close(descriptor) != 0) {
    const int code = errno;
    ::unlink(file.c_str());
    throw_file_error("write", file, code);
  }
  return sha.finish_hex();
}

/// Calls take(path) for every file two levels down.
template <class Take>
void for_each_file(const fs::path& root, Take take) {
  std::error_code error;
  for (const auto& folder : fs::directory_iterator(root, error)) {
    if (!folder.is_directory(error)) continue;
    for (const auto& file : fs::directory_iterator(folder.path(), error)) take(file.path());
  }
  if (error && error.value() != ENOENT) throw_file_error("list", root, error.value());
}

}  // namespace

ObjectStore::ObjectStore(fs::path root, Sync sync) : root_(std::move(root)), sync_(std::move(sync)) {}

ObjectStore::~ObjectStore() {
  for (const auto& [hash, temporary] : unnamed_) ::unlink(temporary.c_str());
}

std::string ObjectStore::put(Bytes bytes) {
  return put(std::span<const Bytes>(&bytes, 1));
}

std::string ObjectStore::put(std::span<const Bytes> pieces) {
  Sha256 sha;
  std::uintmax_t size = 0;
  for (const Bytes piece : pieces) {
    sha.update(piece);
    size += piece.size();
  }
  std::string hash = sha.finish_hex();
  const fs::path file = place(hash);
  std::error_code error;
  bool is_there = false;
  {
    const ClaimLock no_collection(root_, ClaimLock::Mode::shared);
    claims_.add(hash);
    is_there = fs::file_size(file, error) == size && !error;
  }
  if (unnamed_.contains(hash)) return hash;
  if (is_there && (is_verified(hash) || has_hash(file, hash))) {
    // Its age starts anew. Not ours to touch, or a read-only folder: then nobody collects garbage as us either.
    ::utimensat(AT_FDCWD, file.c_str(), nullptr, 0);
    remember_as_verified(hash);
    is_synced_ = false;  // another process may have named it a moment ago, and not waited for the disk yet
    return hash;
  }
  fs::create_directories(file.parent_path(), error);
  if (error) throw_file_error("create", file.parent_path(), error.value());
  const fs::path temporary = temporary_beside(file);
  write_new_file(temporary, pieces, 0444);
  unnamed_[hash] = temporary;
  return hash;
}

void ObjectStore::receive(const std::string& hash, std::int64_t size, const Reader& read) {
  if (keep(hash) || unnamed_.contains(hash)) {  // it came meanwhile: only what is read is passed over
    std::vector<std::byte> passed(std::size_t{1} << 20);
    for (std::int64_t left = size; left > 0;) {
      const auto count =
          read(std::span(passed).first(std::min<std::size_t>(passed.size(), static_cast<std::size_t>(left))));
      if (count == 0) throw_cut_off(hash);
      left -= static_cast<std::int64_t>(count);
    }
    return;
  }
  const fs::path file = place(hash);
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  if (error) throw_file_error("create", file.parent_path(), error.value());
  const fs::path temporary = temporary_beside(file);
  const std::string got = write_pieces(temporary, hash, size, read);
  if (got != hash) {
    ::unlink(temporary.c_str());
    throw Error("what came as object " + hash + " has another hash, " + got + ", so it was thrown away",
                "send it again; mformer fsck in the workspace that it comes from tells whether it is damaged there");
  }
  unnamed_[hash] = temporary;
}

bool ObjectStore::keep(const std::string& hash) {
  const ClaimLock no_collection(root_, ClaimLock::Mode::shared);
  claims_.add(hash);
  std::error_code error;
  return fs::is_regular_file(place(hash), error);
}

void ObjectStore::flush() const {
  if (unnamed_.empty() && is_synced_) return;
  sync_(root_);
  is_synced_ = true;
  if (unnamed_.empty()) return;
  while (!unnamed_.empty()) {
    const auto& [hash, temporary] = *unnamed_.begin();
    const fs::path file = place(hash);
    if (::rename(temporary.c_str(), file.c_str()) != 0) throw_file_error("write", file, errno);
    unnamed_.erase(unnamed_.begin());
  }
  sync_(root_);
}

fs::path ObjectStore::place(const std::string& hash) const {
  if (!is_hash(hash)) throw Error("'" + hash + "' is not an object hash (64 hexadecimal digits)");
  return root_ / hash.substr(0, 2) / hash;
}

fs::path ObjectStore::path(const std::string& hash) const {
  if (unnamed_.contains(hash)) flush();
  return place(hash);
}

bool ObjectStore::contains(const std::string& hash) const {
  std::error_code error;
  return fs::is_regular_file(path(hash), error);
}

std::int64_t ObjectStore::size(const std::string& hash) const {
  std::error_code error;
  const auto size = fs::file_size(path(hash), error);
  if (error) {
    throw Error("object " + hash + " is missing in '" + root_.string() + "'",
                "mformer fsck lists everything that is damaged");
  }
  return static_cast<std::int64_t>(size);
}

bool ObjectStore::verify(const std::string& hash) const {
  return contains(hash) && sha256_file(path(hash)) == hash;
}

fs::path ObjectStore::verified_path(const std::string& hash) const {
  if (!contains(hash)) size(hash);  // throws: it is missing
  const auto stamp = ahead_ == nullptr ? std::nullopt : ahead_->result(hash);
  if (stamp) verified_[hash] = *stamp;
  if (!is_verified(hash)) {
    if (!verify(hash)) {
      throw Error("object " + hash + " is damaged: the bytes of '" + path(hash).string() + "' have another hash",
                  "mformer fsck lists all damage; importing the same checkpoint again heals the object, and so does "
                  "mformer fsck --repair --from DIR with a copy of the workspace");
    }
    remember_as_verified(hash);
  }
  return path(hash);
}

void ObjectStore::verify_ahead(const std::vector<std::string>& hashes) const {
  std::vector<HashesAhead::File> files;
  for (const std::string& hash : hashes) {
    if (!is_verified(hash)) files.push_back({hash, path(hash)});
  }
  ahead_ = std::make_shared<HashesAhead>(std::move(files));
}

bool ObjectStore::is_verified(const std::string& hash) const {
  const auto known = verified_.find(hash);
  return known != verified_.end() && stamp_of(place(hash)) == known->second;
}

void ObjectStore::remember_as_verified(const std::string& hash) const {
  if (const auto now = stamp_of(place(hash))) verified_[hash] = *now;
}

bool ObjectStore::remove(const std::string& hash) {
  std::error_code error;
  const bool removed = fs::remove(path(hash), error);
  if (error) throw_file_error("remove", path(hash), error.value());
  return removed;
}

std::vector<std::string> ObjectStore::list() const {
  flush();
  std::vector<std::string> hashes;
  for_each_file(root_, [&](const fs::path& file) {
    if (is_hash(file.filename().string())) hashes.push_back(file.filename().string());
  });
  std::sort(hashes.begin(), hashes.end());
  return hashes;
}

std::vector<fs::path> ObjectStore::temporaries() const {
  std::vector<fs::path> files;
  for_each_file(root_, [&](const fs::path& file) {
    if (file.filename().string().starts_with(kTemporaryPrefix)) files.push_back(file);
  });
  return files;
}

}  // namespace mformer
