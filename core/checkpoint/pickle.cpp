#include "core/checkpoint/pickle.h"

#include <caffe2/serialize/inline_container.h>
#include <caffe2/serialize/read_adapter_interface.h>
#include <torch/csrc/jit/serialization/import_read.h>

#include <algorithm>
#include <cstring>

#include "core/formats/mapped_file.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

/// The bytes of the file, as far as they go. LibTorch's own reader behind pickle_load copies from wherever a damaged
/// archive points to, beyond the end too.
class FileBytes : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit FileBytes(MappedFile file) : file_(std::move(file)) {}
  std::size_t size() const override { return file_.bytes.size(); }
  std::size_t read(std::uint64_t position, void* to, std::size_t count, const char* /*what*/) const override {
    if (position >= size()) return 0;
    const std::size_t there = std::min(count, size() - static_cast<std::size_t>(position));
    std::memcpy(to, file_.bytes.data() + position, there);
    return there;
  }

 private:
  MappedFile file_;
};

at::IValue unpickle(const std::shared_ptr<FileBytes>& bytes) {
  caffe2::serialize::PyTorchStreamReader reader(bytes);
  return torch::jit::readArchiveAndTensors("data", "", "", std::nullopt, std::nullopt, std::nullopt, reader);
}

}  // namespace

std::map<std::string, at::Tensor> read_pickled_tensors(const std::filesystem::path& path) {
  const char* hint = "convert it to model.safetensors with the safetensors Python package, and import that";
  const auto bytes = std::make_shared<FileBytes>(map_file(path));
  at::IValue value;
  try {
    value = unpickle(bytes);
  } catch (const std::exception&) {
    throw Error(path.string() + " is not a state dict that can be read safely", hint);
  }
  if (!value.isGenericDict()) throw Error(path.string() + " holds something other than a state dict", hint);
  std::map<std::string, at::Tensor> tensors;
  for (const auto& entry : value.toGenericDict()) {
    if (!entry.key().isString() || !entry.value().isTensor()) {
      throw Error(path.string() + " holds something other than named tensors", hint);
    }
    tensors.emplace(entry.key().toStringRef(), entry.value().toTensor());
  }
  return tensors;
}

}  // namespace mformer
