#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace mformer {

/// Writes the bytes of a GGUF file piece by piece, whatever they say: https://github.com/ggml-org/ggml, docs/gguf.md.
class GgufBytes {
 public:
  std::string magic = "GGUF";
  std::uint32_t version = 3;
  std::uint64_t alignment = 32;                  ///< Of the data; the key is the caller's.
  std::int64_t more_tensors = 0, more_keys = 0;  ///< Claimed beside those that are there.

  template <class Number>
  static std::string raw(Number value) {
    std::string bytes(sizeof value, '\0');
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
  }
  static std::string text(std::string_view value) { return raw<std::uint64_t>(value.size()) + std::string(value); }

  GgufBytes& key(std::string_view name, std::uint32_t kind, const std::string& value) {
    keys_ += text(name) + raw(kind) + value;
    ++key_count_;
    return *this;
  }
  GgufBytes& whole(std::string_view name, std::uint32_t value) { return key(name, 4, raw(value)); }
  GgufBytes& number(std::string_view name, float value) { return key(name, 6, raw(value)); }
  GgufBytes& truth(std::string_view name, bool value) { return key(name, 7, raw<std::uint8_t>(value ? 1 : 0)); }
  GgufBytes& word(std::string_view name, std::string_view value) { return key(name, 8, text(value)); }
  GgufBytes& words(std::string_view name, const std::vector<std::string>& values) {
    std::string list = raw<std::uint32_t>(8) + raw<std::uint64_t>(values.size());
    for (const std::string& value : values) list += text(value);
    return key(name, 9, list);
  }
  GgufBytes& wholes(std::string_view name, const std::vector<std::int32_t>& values) {
    std::string list = raw<std::uint32_t>(5) + raw<std::uint64_t>(values.size());
    for (const std::int32_t value : values) list += raw(value);
    return key(name, 9, list);
  }
  GgufBytes& numbers(std::string_view name, const std::vector<float>& values) {
    std::string list = raw<std::uint32_t>(6) + raw<std::uint64_t>(values.size());
    for (const float value : values) list += raw(value);
    return key(name, 9, list);
  }

  /// `shape` as the file has it: the length of a row first. `at`: the offset; −1 = after the tensor before it.
  GgufBytes& tensor(std::string_view name, const std::vector<std::uint64_t>& shape, std::uint32_t type,
                    const std::string& data, std::int64_t at = -1) {
    pad();
    tensors_ += text(name) + raw<std::uint32_t>(static_cast<std::uint32_t>(shape.size()));
    for (const std::uint64_t size : shape) tensors_ += raw(size);
    tensors_ += raw(type) + raw<std::uint64_t>(at < 0 ? data_.size() : static_cast<std::uint64_t>(at));
    data_ += data;
    ++tensor_count_;
    return *this;
  }
  GgufBytes& floats(std::string_view name, const std::vector<std::uint64_t>& shape, const std::vector<float>& values) {
    std::string data(values.size() * sizeof(float), '\0');
    std::memcpy(data.data(), values.data(), data.size());
    return tensor(name, shape, 0, data);
  }

  std::string header() const {
    return magic + raw(version) + raw(tensor_count_ + more_tensors) + raw(key_count_ + more_keys) + keys_ + tensors_;
  }
  std::string bytes() const {
    std::string all = header();
    if (!data_.empty()) all.resize((all.size() + alignment - 1) / alignment * alignment, '\0');
    return all + data_;
  }

 private:
  void pad() { data_.resize((data_.size() + alignment - 1) / alignment * alignment, '\0'); }

  std::string keys_, tensors_, data_;
  std::int64_t key_count_ = 0, tensor_count_ = 0;
};

}  // namespace mformer
