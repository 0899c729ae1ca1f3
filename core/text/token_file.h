#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/formats/input_file.h"

namespace mformer {

/// The first bytes of a token file, little endian; docs/data.md describes the whole format.
struct TokenFileHeader {
  char magic[8];
  uint32_t version;
  uint32_t header_bytes;
  uint64_t tokens;
  uint64_t documents;
  uint64_t text_bytes;
  char content_hash[64];
  char tokenizer_hash[64];
  char checksum[64];  ///< SHA-256 (hex) of all bytes after the header, then of the header with this field zeroed
  char reserved[24];
};
static_assert(sizeof(TokenFileHeader) == 256);

inline constexpr uint32_t kTokenFileVersion = 1;

/// A header for these contents, without checksum.
TokenFileHeader make_token_file_header();

/// Reads header and document table of a token file, after the checks that make it safe to use: sizes, document table,
/// checksum. Returns what is wrong, or "".
std::string read_token_file(const InputFile& file, TokenFileHeader& header, std::vector<uint64_t>& starts);

/// Where the document table starts: after the tokens, at a multiple of 8.
uint64_t document_table_offset(uint64_t tokens);

/// Writes a token file document by document, in constant memory. The file appears under its name, whole, with
/// finish(); without it nothing stays.
class TokenFileWriter {
 public:
  /// Throws Error when the folder of `file` can't be written to; so do the others when the disk is full.
  explicit TokenFileWriter(std::filesystem::path file);
  ~TokenFileWriter();
  TokenFileWriter(const TokenFileWriter&) = delete;
  TokenFileWriter& operator=(const TokenFileWriter&) = delete;

  void add_document(std::span<const uint32_t> tokens, int64_t text_bytes);
  void finish(const std::string& content_hash, const std::string& tokenizer_hash);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mformer
