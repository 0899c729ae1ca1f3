#include "core/formats/safetensors.h"

#include <utility>

#include "core/formats/mapped_file.h"
#include "core/formats/quoted_name.h"
#include "core/formats/safetensors_header.h"
#include "modules_registry/error.h"
#include "modules_registry/suggest.h"

namespace mformer {

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& path) {
  MappedFile file = map_file(path);
  return parse(file.bytes, path.string(), std::move(file.owner));
}

SafetensorsFile SafetensorsFile::parse(Bytes bytes, const std::string& source) {
  return parse(bytes, source, nullptr);
}

SafetensorsFile SafetensorsFile::parse(Bytes bytes, const std::string& source, std::shared_ptr<const void> mapping) {
  SafetensorsHeader header = read_safetensors_header(bytes, source);
  auto contents = std::make_shared<Contents>();
  contents->mapping = std::move(mapping);
  contents->source = source;
  contents->metadata = std::move(header.metadata);
  contents->tensors.reserve(header.entries.size());
  for (HeaderEntry& entry : header.entries) {
    contents->index.emplace(entry.name, contents->tensors.size());
    contents->tensors.push_back({{std::move(entry.name), entry.dtype, std::move(entry.shape)},
                                 bytes.data() + header.data_offset + entry.begin,
                                 entry.end - entry.begin});
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
