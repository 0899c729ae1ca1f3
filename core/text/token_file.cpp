#include "core/text/token_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {
namespace {

static_assert(std::endian::native == std::endian::little, "token files are little endian and read as they are");

constexpr std::string_view kMagic = "MFTOKENS";
constexpr size_t kBufferBytes = 1UL << 20U;

/// A new temporary file that vanishes with this object unless it is renamed.
class OutputFile {
 public:
  explicit OutputFile(std::filesystem::path path) : path_(std::move(path)) {
    file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file_ < 0) throw_file_error("write", path_, errno);
    ::flock(file_, LOCK_EX | LOCK_NB);  // until it is closed: a garbage collection sees that somebody writes it
    buffer_.reserve(kBufferBytes);
  }
  ~OutputFile() {
    ::close(file_);
    if (!kept_) ::unlink(path_.c_str());
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void append(Bytes bytes) {
    if (buffer_.size() + bytes.size() > kBufferBytes) flush();
    if (bytes.size() >= kBufferBytes) {
      write_at(bytes, size_);
      size_ += bytes.size();
    } else {
      buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    }
  }

  void flush() {
    write_at(buffer_, size_);
    size_ += buffer_.size();
    buffer_.clear();
  }

  void write_at(Bytes bytes, uint64_t offset) const {
    while (!bytes.empty()) {
      const ssize_t written = ::pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw_file_error("write", path_, errno);
      bytes = bytes.subspan(static_cast<size_t>(written));
      offset += static_cast<uint64_t>(written);
    }
  }

  size_t read_at(std::span<std::byte> bytes, uint64_t offset) const {
    const ssize_t got = ::pread(file_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got < 0) throw_file_error("read", path_, errno);
    return static_cast<size_t>(got);
  }

  void keep_as(const std::filesystem::path& path) {
    if (::fsync(file_) != 0) throw_file_error("write", path_, errno);
    if (::rename(path_.c_str(), path.c_str()) != 0) throw_file_error("write", path, errno);
    kept_ = true;
  }

 private:
  std::filesystem::path path_;
  int file_ = -1;
  std::vector<std::byte> buffer_;
  uint64_t size_ = 0;
  bool kept_ = false;
};

std::filesystem::path temporary_name(const std::filesystem::path& file) {
  return file.parent_path() / (std::string(kTemporaryPrefix) + random_uid() + "-" + file.filename().string());
}

void copy_hash(char (&field)[64], const std::string& hash) {
  std::memcpy(field, hash.data(), std::min(hash.size(), sizeof field));
}

std::string finish_checksum(Sha256& sha, TokenFileHeader header) {
  std::memset(header.checksum, 0, sizeof header.checksum);
  sha.update(std::as_bytes(std::span(&header, 1)));
  return sha.finish_hex();
}

bool is_valid_table(std::span<const uint64_t> starts, uint64_t tokens) {
  return starts.front() == 0 && starts.back() == tokens && std::ranges::is_sorted(starts);
}

}  // namespace

TokenFileHeader make_token_file_header() {
  TokenFileHeader header{};
  std::memcpy(header.magic, kMagic.data(), sizeof header.magic);
  header.version = kTokenFileVersion;
  header.header_bytes = sizeof header;
  return header;
}

uint64_t document_table_offset(uint64_t tokens) {
  const uint64_t end = sizeof(TokenFileHeader) + tokens * sizeof(uint32_t);
  return (end + 7) / 8 * 8;
}

std::string read_token_file(const InputFile& file, TokenFileHeader& header, std::vector<uint64_t>& starts) {
  if (file.size() < sizeof header) return "is shorter than its header";
  file.read(0, std::as_writable_bytes(std::span(&header, 1)));
  const TokenFileHeader expected = make_token_file_header();
  if (std::memcmp(&header, &expected, offsetof(TokenFileHeader, tokens)) != 0) return "is of another kind or version";
  // Neither sum below can overflow once both counts are no larger than the file.
  if (header.tokens > file.size() || header.documents > file.size()) return "has impossible counts";
  const uint64_t table = document_table_offset(header.tokens);
  if (table + (header.documents + 1) * sizeof(uint64_t) != file.size()) return "is truncated or too long";
  starts.resize(header.documents + 1);
  file.read(table, std::as_writable_bytes(std::span(starts)));
  if (!is_valid_table(starts, header.tokens)) return "has a broken document table";
  Sha256 sha;
  std::vector<std::byte> block(kBufferBytes);
  for (uint64_t at = sizeof header; at < file.size(); at += block.size()) {
    block.resize(std::min<uint64_t>(kBufferBytes, file.size() - at));
    file.read(at, block);
    sha.update(block);
  }
  const std::string stored(header.checksum, sizeof header.checksum);
  return finish_checksum(sha, header) == stored ? "" : "does not match its checksum";
}

struct TokenFileWriter::State {
  explicit State(std::filesystem::path name)
      : file(std::move(name)),
        out(temporary_name(file)),
        starts(temporary_name(file)),
        header(make_token_file_header()) {
    out.append(std::as_bytes(std::span(&header, 1)));
    add_start();
  }

  void add_start() { starts.append(std::as_bytes(std::span(&header.tokens, 1))); }

  void append(Bytes bytes) {
    sha.update(bytes);
    out.append(bytes);
  }

  void append_table() {
    constexpr std::byte kZeros[8]{};
    const uint64_t end = sizeof header + header.tokens * sizeof(uint32_t);
    append(std::span(kZeros).first(document_table_offset(header.tokens) - end));
    starts.flush();
    std::vector<std::byte> block(kBufferBytes);
    uint64_t offset = 0;
    while (const size_t got = starts.read_at(block, offset)) {
      append(std::span(block).first(got));
      offset += got;
    }
  }

  std::filesystem::path file;
  OutputFile out;
  OutputFile starts;  // the document table, which comes after tokens of unknown number
  TokenFileHeader header;
  Sha256 sha;
};

TokenFileWriter::TokenFileWriter(std::filesystem::path file) : state_(std::make_unique<State>(std::move(file))) {}
TokenFileWriter::~TokenFileWriter() = default;

void TokenFileWriter::add_document(std::span<const uint32_t> tokens, int64_t text_bytes) {
  state_->append(std::as_bytes(tokens));
  state_->header.tokens += tokens.size();
  state_->header.documents += 1;
  state_->header.text_bytes += static_cast<uint64_t>(text_bytes);
  state_->add_start();
}

void TokenFileWriter::finish(const std::string& content_hash, const std::string& tokenizer_hash) {
  State& state = *state_;
  state.append_table();
  state.out.flush();
  copy_hash(state.header.content_hash, content_hash);
  copy_hash(state.header.tokenizer_hash, tokenizer_hash);
  copy_hash(state.header.checksum, finish_checksum(state.sha, state.header));
  state.out.write_at(std::as_bytes(std::span(&state.header, 1)), 0);
  state.out.keep_as(state.file);
}

}  // namespace mformer
