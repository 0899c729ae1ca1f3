#include "core/formats/gguf_file.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <regex>

#include "core/formats/quoted_name.h"
#include "core/formats/stand_in.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBlocksAtOnce = 8192;

std::string first_bytes_of(const InputFile& file) {
  return file.text(0, std::min<std::uint64_t>(file.size(), kStandInBytes));
}

std::int64_t whole_or(const GgufFile& file, const char* key, std::int64_t otherwise) {
  const auto found = file.metadata().find(key);
  if (found == file.metadata().end()) return otherwise;
  const auto* const value = std::get_if<std::int64_t>(&found->second);
  if (value == nullptr) throw Error("'" + file.source() + "': '" + key + "' must be a whole number");
  return *value;
}

/// "DIR/NAME-0000I-of-0000N.gguf"
fs::path part_name(const fs::path& stem, std::int64_t number, std::int64_t count) {
  char ending[48];
  std::snprintf(ending, sizeof ending, "-%05lld-of-%05lld.gguf", static_cast<long long>(number),
                static_cast<long long>(count));
  return fs::path(stem.string() + ending);
}

void require_place(const GgufFile& part, std::int64_t number, std::int64_t count) {
  if (whole_or(part, "split.count", 0) == count && whole_or(part, "split.no", -1) == number) return;
  throw Error("'" + part.source() + "' is not part " + std::to_string(number + 1) + " of " + std::to_string(count) +
                  ", as its name says",
              "fetch all parts of the model again, under their own names");
}

void require_no_tensor_twice(const std::vector<GgufFile>& parts) {
  std::map<std::string_view, std::string_view> owners;
  for (const GgufFile& part : parts) {
    for (const GgufTensor& tensor : part.tensors()) {
      const auto [owner, is_new] = owners.emplace(tensor.name, part.source());
      if (is_new) continue;
      throw Error("'" + part.source() + "': the tensor " + quoted_name(tensor.name) + " is also in '" +
                      std::string(owner->second) + "'",
                  "fetch all parts of the model again");
    }
  }
}

}  // namespace

GgufFile GgufFile::open(const fs::path& path) {
  InputFile file = InputFile::open(path);
  const std::string beginning = first_bytes_of(file);
  if (!is_gguf(beginning)) refuse_stand_in(beginning, path.string());
  GgufHeader header = read_gguf_header(file);
  auto contents = std::make_shared<Contents>(Contents{path.string(), std::move(file), std::move(header)});
  for (const GgufTensor& tensor : contents->header.tensors) {
    contents->index.emplace(tensor.name, contents->index.size());
  }
  return GgufFile(std::move(contents));
}

const GgufTensor* GgufFile::find(std::string_view name) const {
  const auto found = contents_->index.find(name);
  return found == contents_->index.end() ? nullptr : &contents_->header.tensors[found->second];
}

void GgufFile::read(const GgufTensor& tensor, std::int64_t first, std::span<std::byte> to) const {
  const GgufBlock block = gguf_block(tensor.type);
  if (!is_quantised(tensor.type)) {
    return contents_->file.read(tensor.offset + static_cast<std::uint64_t>(first) * block.bytes, to);
  }
  const auto elements = static_cast<std::size_t>(block.elements);
  std::vector<std::byte> stored;
  std::vector<float> numbers;
  std::size_t number = static_cast<std::size_t>(first) / elements, skipped = static_cast<std::size_t>(first) % elements;
  while (!to.empty()) {
    const std::size_t wanted = (skipped + to.size() / sizeof(float) + elements - 1) / elements;
    const std::size_t blocks = std::min(wanted, kBlocksAtOnce);
    stored.resize(blocks * block.bytes);
    numbers.resize(blocks * elements);
    contents_->file.read(tensor.offset + number * block.bytes, stored);
    decode_gguf_blocks(tensor.type, stored, numbers);
    const std::size_t some = std::min(to.size(), (numbers.size() - skipped) * sizeof(float));
    std::memcpy(to.data(), numbers.data() + skipped, some);
    to = to.subspan(some);
    number += blocks;
    skipped = 0;
  }
}

std::vector<GgufFile> open_gguf_files(const fs::path& path) {
  GgufFile named = GgufFile::open(path);
  const std::int64_t count = whole_or(named, "split.count", 0);
  if (count <= 1) return {std::move(named)};
  static const std::regex kPart("(.*)-\\d{5}-of-\\d{5}\\.gguf");
  const std::string name = path.filename().string();
  std::smatch match;
  constexpr std::int64_t kMostParts = 10'000;
  if (count > kMostParts || !std::regex_match(name, match, kPart)) {
    throw Error(
        "'" + path.string() + "' is one of " + std::to_string(count) + " parts of a model, and is not named as such",
        "the parts are called NAME-00001-of-0000N.gguf: give them their own names again");
  }
  const fs::path stem = path.parent_path() / match[1].str();
  std::vector<GgufFile> parts;
  for (std::int64_t i = 0; i < count; ++i) {
    const fs::path part = part_name(stem, i + 1, count);
    std::error_code ignored;
    if (!fs::is_regular_file(part, ignored)) {
      throw Error("'" + path.string() + "' is one of " + std::to_string(count) + " parts, and '" +
                      part.filename().string() + "' is not beside it",
                  "fetch the missing part");
    }
    parts.push_back(GgufFile::open(part));
    require_place(parts.back(), i, count);
  }
  require_no_tensor_twice(parts);
  return parts;
}

bool has_gguf_tokenizer(const GgufMetadata& metadata) {
  const auto kind = metadata.find("tokenizer.ggml.model");
  if (kind == metadata.end()) return false;
  const auto* const name = std::get_if<std::string>(&kind->second);
  return name == nullptr || (*name != "none" && *name != "no_vocab");
}

bool is_gguf_path(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return false;
  return path.extension() == ".gguf" || is_gguf(first_bytes_of(InputFile::open(path)));
}

}  // namespace mformer
