#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "core/formats/safetensors.h"
#include "modules_registry/error.h"

namespace mformer {

/// An empty folder that goes with the object.
class TestFolder {
 public:
  TestFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "mformer-formats-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw Error("no temporary folder");
    path_ = name;
  }
  ~TestFolder() { std::filesystem::remove_all(path_); }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// The bytes of a safetensors file with this header text and data, whatever they say.
inline std::vector<std::byte> raw_file(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  std::vector<std::byte> bytes(sizeof length + header.size() + data.size());
  std::memcpy(bytes.data(), &length, sizeof length);
  std::memcpy(bytes.data() + sizeof length, header.data(), header.size());
  std::memcpy(bytes.data() + sizeof length + header.size(), data.data(), data.size());
  return bytes;
}

/// Runs `action` and returns the message of the mformer::Error it throws; "" when it throws none.
template <class Action>
std::string error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

/// A tensor that owns its bytes.
struct OwnedTensor {
  std::string name;
  DType dtype;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;

  TensorToWrite to_write() const { return {name, dtype, shape, bytes}; }
};

inline std::vector<TensorToWrite> to_write(const std::vector<OwnedTensor>& tensors) {
  std::vector<TensorToWrite> list;
  for (const OwnedTensor& tensor : tensors) list.push_back(tensor.to_write());
  return list;
}

inline OwnedTensor random_tensor(const std::string& name, DType dtype, std::vector<std::int64_t> shape,
                                 std::mt19937& random) {
  std::size_t bytes = item_size(dtype);
  for (const std::int64_t dimension : shape) bytes *= static_cast<std::size_t>(dimension);
  OwnedTensor tensor{name, dtype, std::move(shape), std::vector<std::byte>(bytes)};
  for (std::byte& byte : tensor.bytes) byte = static_cast<std::byte>(random());
  return tensor;
}

}  // namespace mformer
