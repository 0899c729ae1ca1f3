#include "core/formats/safetensors.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "core/formats/quoted_name.h"
#include "core/formats/safetensors_header.h"
#include "core/formats/stand_in.h"
#include "modules_registry/error.h"
#include "modules_registry/suggest.h"

namespace mformer {
namespace {

/// As much of the file as its header claims to take, or what shows that it is no safetensors file.
std::vector<std::byte> beginning_of(const InputFile& file) {
  std::uint64_t length = 0, needed = kStandInBytes;
  if (file.size() >= sizeof length) {
    file.read(0, std::as_writable_bytes(std::span(&length, 1)));
    if (length <= kMaxHeaderBytes) needed = std::max(needed, sizeof length + length);
  }
  std::vector<std::byte> beginning(std::min(needed, file.size()));
  file.read(0, beginning);
  return beginning;
}

}  // namespace

void TensorView::read(std::byte* to) const {
  read(0, {to, bytes});
}

void TensorView::read(std::size_t first, std::span<std::byte> to) const {
  if (to.empty()) return;
  if (file_) {
    file_->read(offset + first, to);
  } else {
    std::memcpy(to.data(), memory_ + first, to.size());
  }
}

std::vector<std::byte> TensorView::content() const {
  std::vector<std::byte> content(bytes);
  read(content.data());
  return content;
}

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& path) {
  const InputFile file = InputFile::open(path);
  const std::vector<std::byte> beginning = beginning_of(file);
  return make(read_safetensors_header(beginning, file.size(), path.string()), path.string(), &file, {});
}

SafetensorsFile SafetensorsFile::parse(Bytes bytes, const std::string& source) {
  return make(read_safetensors_header(bytes, bytes.size(), source), source, nullptr, bytes);
}

SafetensorsFile SafetensorsFile::make(SafetensorsHeader header, const std::string& source, const InputFile* file,
                                      Bytes memory) {
  auto contents = std::make_shared<Contents>();
  contents->source = source;
  contents->metadata = std::move(header.metadata);
  contents->tensors.reserve(header.entries.size());
  for (HeaderEntry& entry : header.entries) {
    contents->index.emplace(entry.name, contents->tensors.size());
    TensorView tensor;
    tensor.name = std::move(entry.name), tensor.dtype = entry.dtype, tensor.shape = std::move(entry.shape);
    tensor.bytes = entry.end - entry.begin;
    tensor.offset = header.data_offset + entry.begin;
    if (file != nullptr) {
      tensor.file_ = *file;
    } else {
      tensor.memory_ = memory.data() + tensor.offset;
    }
    contents->tensors.push_back(std::move(tensor));
  }
  return SafetensorsFile(std::move(contents));
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  names.reserve(contents_->tensors.size());
  for (const TensorView& tensor : contents_->tensors) names.push_back(tensor.name);
  return names;
}

const TensorView* SafetensorsFile::find(std::string_view name) const {
  const auto found = contents_->index.find(name);
  return found == contents_->index.end() ? nullptr : &contents_->tensors[found->second];
}

const TensorView& SafetensorsFile::get(std::string_view name) const {
  if (const TensorView* tensor = find(name)) return *tensor;
  throw Error(source() + " has no tensor " + quoted_name(name),
              suggestion_hint(name, names(), "tensors", "the file holds no tensors"));
}

}  // namespace mformer
