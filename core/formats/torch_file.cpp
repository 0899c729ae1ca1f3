#include "core/formats/torch_file.h"

#include <algorithm>
#include <utility>

#include "core/formats/quoted_name.h"
#include "core/formats/safetensors_header.h"
#include "core/formats/stand_in.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

constexpr std::uint64_t kMaxProgramBytes = 64'000'000;  // some 200 bytes a tensor
const char* const kSaveAgain =
    "save it again with a newer PyTorch, or convert it to model.safetensors with the safetensors Python package, and "
    "import that";

// The older format is a row of pickles, of which the first is this number.
constexpr std::string_view kLegacyMagic("\x80\x02\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19", 14);

void require_archive(const std::filesystem::path& path) {
  const InputFile file = InputFile::open(path);
  const std::string beginning = file.text(0, std::min<std::uint64_t>(file.size(), kStandInBytes));
  if (ZipArchive::is_archive(beginning)) return;
  refuse_stand_in(beginning, path.string());
  const bool legacy = std::string_view(beginning).starts_with(kLegacyMagic);
  throw Error(
      "'" + path.string() + "' is " +
          (legacy ? "in the format of PyTorch before 1.6" : "not a file that torch.save wrote (no zip archive)"),
      kSaveAgain);
}

// The one folder of the archive that holds the program.
std::string find_root(const ZipArchive& archive, const std::string& source) {
  constexpr std::string_view kProgram = "/data.pkl";
  std::string root;
  for (const auto& [name, entry] : archive.entries()) {
    if (!name.ends_with(kProgram) || name.find('/') != name.size() - kProgram.size()) continue;
    if (!root.empty()) throw Error("'" + source + "' holds two programs 'data.pkl'", kSaveAgain);
    root = name.substr(0, name.size() - kProgram.size() + 1);
  }
  if (root.empty()) throw Error("'" + source + "' is a zip archive, but not one that torch.save wrote", kSaveAgain);
  return root;
}

// A short file of the archive as text.
std::string text_of(const ZipArchive& archive, const ZipArchive::Entry& entry) {
  return archive.file().text(entry.offset, entry.bytes);
}

void require_little_endian(const ZipArchive& archive, const std::string& root, const std::string& source) {
  const ZipArchive::Entry* const order = archive.find(root + "byteorder");  // absent before PyTorch 2.1
  if (order == nullptr || (order->bytes == 6 && text_of(archive, *order) == "little")) return;
  throw Error("'" + source + "' holds its numbers in another byte order than little-endian", kSaveAgain);
}

const ZipArchive::Entry* storage_of(const ZipArchive& archive, const std::string& root, const PickledTensor& tensor) {
  return archive.find(root + "data/" + tensor.storage);
}

void check(const PickledTensor& tensor, const ZipArchive::Entry* storage, const std::string& source) {
  const auto refuse = [&](const std::string& why) {
    throw Error(
        "'" + source + "' is not a state dict that can be read safely: tensor " + quoted_name(tensor.name) + " " + why,
        kSaveAgain);
  };
  if (storage == nullptr) return refuse("has no data in the file");
  std::int64_t bytes = 0;
  if (tensor.stored < 0 ||
      __builtin_mul_overflow(tensor.stored, static_cast<std::int64_t>(item_size(tensor.dtype)), &bytes) ||
      static_cast<std::uint64_t>(bytes) != storage->bytes) {
    refuse("should have " + std::to_string(tensor.stored) + " elements of " + std::string(dtype_name(tensor.dtype)) +
           " stored, but there are " + std::to_string(storage->bytes) + " bytes");
  }
  const std::optional<std::int64_t> span = elements_spanned(tensor);
  if (!span || !tensor_bytes(tensor.dtype, tensor.shape)) return refuse("has an impossible shape or stride");
  if (tensor.offset < 0 || tensor.offset > tensor.stored || *span > tensor.stored - tensor.offset) {
    refuse("reaches beyond its " + std::to_string(tensor.stored) + " stored elements");
  }
}

}  // namespace

std::optional<std::int64_t> elements_spanned(const PickledTensor& tensor) {
  if (tensor.strides.size() != tensor.shape.size()) return std::nullopt;
  std::int64_t last = 0;
  bool empty = false;
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    const std::int64_t size = tensor.shape[i], stride = tensor.strides[i];
    if (size < 0 || stride < 0) return std::nullopt;
    std::int64_t steps = 0;
    empty = empty || size == 0;
    if (size > 1 && (__builtin_mul_overflow(size - 1, stride, &steps) || __builtin_add_overflow(last, steps, &last))) {
      return std::nullopt;
    }
  }
  if (empty) return 0;
  return __builtin_add_overflow(last, 1, &last) ? std::nullopt : std::optional(last);
}

bool is_contiguous(const PickledTensor& tensor) {
  std::int64_t expected = 1;
  for (std::size_t i = tensor.shape.size(); i-- > 0;) {
    if (tensor.shape[i] == 1) continue;
    if (tensor.strides[i] != expected) return false;
    expected *= tensor.shape[i];  // can't overflow: its bytes were counted
  }
  return true;
}

TorchFile TorchFile::open(const std::filesystem::path& path) {
  require_archive(path);
  auto contents = std::make_shared<Contents>(Contents{ZipArchive::open(path), path.string(), {}, {}, {}});
  const ZipArchive& archive = contents->archive;
  const std::string& source = contents->source;
  contents->root = find_root(archive, source);
  require_little_endian(archive, contents->root, source);
  const ZipArchive::Entry& program = *archive.find(contents->root + "data.pkl");
  if (program.bytes > kMaxProgramBytes) {
    throw Error("'" + source + "' is not a state dict that can be read safely: its program is too long", kSaveAgain);
  }
  contents->tensors = read_state_dict_program(text_of(archive, program), source);
  for (const PickledTensor& tensor : contents->tensors) {
    check(tensor, storage_of(archive, contents->root, tensor), source);
    contents->index.emplace(tensor.name, contents->index.size());
  }
  return TorchFile(std::move(contents));
}

const PickledTensor* TorchFile::find(std::string_view name) const {
  const auto found = contents_->index.find(name);
  return found == contents_->index.end() ? nullptr : &contents_->tensors[found->second];
}

void TorchFile::read(const PickledTensor& tensor, std::int64_t first, std::span<std::byte> to) const {
  const ZipArchive::Entry& storage = *storage_of(contents_->archive, contents_->root, tensor);
  contents_->archive.file().read(storage.offset + static_cast<std::uint64_t>(first) * item_size(tensor.dtype), to);
}

}  // namespace mformer
