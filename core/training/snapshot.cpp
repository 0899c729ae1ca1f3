#include "core/training/snapshot.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/checkpoint/tensor_io.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

std::filesystem::path file_in(const std::filesystem::path& folder) {
  return folder / "snapshot.safetensors";
}

NamedTensors all_tensors(const AdamW& optimizer, const NamedTensors& more) {
  NamedTensors tensors = optimizer.state();
  tensors.insert(tensors.end(), more.begin(), more.end());
  for (const TrainedParameter& parameter : optimizer.parameters()) {
    tensors.emplace_back(parameter.name, parameter.tensor.detach());
  }
  return tensors;
}

constexpr const char* kRestart = "begin anew with --restart: the snapshot goes then";

/// SHA-256 of all that a snapshot says: steps, and the tensors with their names, types and shapes, by name. `bytes_of`
/// gives the bytes of one.
template <typename Tensor, typename BytesOf>
std::string checksum_of(std::vector<Tensor> tensors, const std::string& steps, const BytesOf& bytes_of) {
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  Sha256 sha;
  const auto add = [&](std::string_view text) {  // after its length, so that no two snapshots share a text
    sha.update(as_bytes(std::to_string(text.size()) + " "));
    sha.update(as_bytes(text));
  };
  add(steps);
  for (const Tensor& tensor : tensors) {
    add(tensor.name);
    add(dtype_name(tensor.dtype));
    add(std::to_string(tensor.shape.size()));
    for (const std::int64_t size : tensor.shape) add(std::to_string(size));
    sha.update(bytes_of(tensor));
  }
  return sha.finish_hex();
}

std::string checksum_of(const std::vector<TensorToWrite>& tensors, const std::string& steps) {
  return checksum_of(tensors, steps, [](const TensorToWrite& tensor) { return tensor.data; });
}

std::string checksum_of(const SafetensorsFile& file, const std::string& steps) {
  std::vector<std::byte> content;  // of one tensor at a time
  return checksum_of(file.tensors(), steps, [&](const TensorView& view) {
    content = view.content();
    return Bytes(content);
  });
}

[[noreturn]] void fail_damaged(const std::filesystem::path& path, const std::string& why) {
  throw Error("the snapshot '" + path.string() + "' is damaged: " + why, kRestart);
}

SafetensorsFile open_snapshot(const std::filesystem::path& path) {
  try {
    return SafetensorsFile::open(path);
  } catch (const Error& error) {
    fail_damaged(path, error.what());
  }
}

/// The steps taken, of a snapshot whose bytes are those that were written.
std::int64_t checked_steps(const SafetensorsFile& file, const std::filesystem::path& path) {
  const auto steps = file.metadata().find("steps");
  const auto checksum = file.metadata().find("sha256");
  if (steps == file.metadata().end() || checksum == file.metadata().end()) fail_damaged(path, "it has no checksum");
  if (checksum_of(file, steps->second) != checksum->second) fail_damaged(path, "its bytes have another checksum");
  std::int64_t taken = -1;
  const char* const end = steps->second.data() + steps->second.size();
  const auto read = std::from_chars(steps->second.data(), end, taken);
  if (read.ec != std::errc() || read.ptr != end || taken < 0) fail_damaged(path, "its number of steps is none");
  return taken;
}

}  // namespace

void save_snapshot(const std::filesystem::path& folder, const AdamW& optimizer, const NamedTensors& more) {
  std::vector<TensorToWrite> to_be_written;
  auto tensors = all_tensors(optimizer, more);
  for (auto& [name, tensor] : tensors) tensor = tensor.cpu();
  to_be_written.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) to_be_written.push_back(to_write(name, tensor));
  const std::string steps = std::to_string(optimizer.steps());
  write_safetensors(file_in(folder), to_be_written, {{"steps", steps}, {"sha256", checksum_of(to_be_written, steps)}});
}

std::optional<std::int64_t> load_snapshot(const std::filesystem::path& folder, AdamW& optimizer,
                                          const NamedTensors& more) {
  const std::filesystem::path path = file_in(folder);
  if (!std::filesystem::exists(path)) return std::nullopt;
  const SafetensorsFile file = open_snapshot(path);
  const std::int64_t steps = checked_steps(file, path);
  const auto tensors = all_tensors(optimizer, more);
  if (file.tensors().size() != tensors.size()) {
    throw Error("the snapshot '" + path.string() + "' belongs to another run", kRestart);
  }
  for (const auto& [name, tensor] : tensors) {
    const TensorView* view = file.find(name);
    if (view == nullptr) throw Error("the snapshot '" + path.string() + "' belongs to another run", kRestart);
    const at::Tensor saved = to_tensor(*view);
    if (saved.sizes() != tensor.sizes() || saved.scalar_type() != tensor.scalar_type()) {
      throw Error("the snapshot '" + path.string() + "' does not fit this run: '" + name + "' differs", kRestart);
    }
    at::Tensor target = tensor;
    target.copy_(saved);
  }
  optimizer.set_steps(steps);
  return optimizer.steps();
}

}  // namespace mformer
