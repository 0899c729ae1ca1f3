#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mformer::testing {

/// The little-endian bytes of a number.
template <typename Number>
std::string little(Number value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

struct ZippedFile {
  std::string name, bytes;
  std::uint16_t flags = 0, method = 0;
};

/// A zip archive of stored files; with `zip64` all numbers of the directory stand in the fields for 64 bits.
inline std::string zip(const std::vector<ZippedFile>& files, bool zip64 = false) {
  std::string archive, directory;
  constexpr std::uint32_t kElsewhere = 0xFFFFFFFF;
  for (const ZippedFile& file : files) {
    const std::uint64_t local = archive.size(), bytes = file.bytes.size();
    const auto size = zip64 ? kElsewhere : static_cast<std::uint32_t>(bytes);
    const std::string extra =
        zip64 ? little<std::uint16_t>(1) + little<std::uint16_t>(24) + little(bytes) + little(bytes) + little(local)
              : "";
    const std::string common = little(file.flags) + little(file.method) + std::string(8, '\0') + little(size) +
                               little(size) + little(static_cast<std::uint16_t>(file.name.size()));
    archive += "PK\x03\x04" + little<std::uint16_t>(45) + common + little<std::uint16_t>(0) + file.name + file.bytes;
    directory += "PK\x01\x02" + little<std::uint32_t>(45) + common + little(static_cast<std::uint16_t>(extra.size())) +
                 std::string(10, '\0') + little(zip64 ? kElsewhere : static_cast<std::uint32_t>(local)) + file.name +
                 extra;
  }
  const std::uint64_t start = archive.size(), end = start + directory.size(), count = files.size();
  archive += directory;
  if (zip64) {
    archive += "PK\x06\x06" + little<std::uint64_t>(44) + std::string(12, '\0') + little(count) + little(count) +
               little<std::uint64_t>(directory.size()) + little(start);
    archive += "PK\x06\x07" + little<std::uint32_t>(0) + little(end) + little<std::uint32_t>(1);
  }
  const auto many = zip64 ? std::uint16_t{0xFFFF} : static_cast<std::uint16_t>(count);
  return archive + "PK\x05\x06" + little<std::uint32_t>(0) + little(many) + little(many) +
         little(zip64 ? kElsewhere : static_cast<std::uint32_t>(directory.size())) +
         little(zip64 ? kElsewhere : static_cast<std::uint32_t>(start)) + little<std::uint16_t>(0);
}

/// A tensor as torch.save describes it, truly or not.
struct SavedTensor {
  std::string name;
  std::vector<std::int64_t> shape, strides;
  std::string bytes;  ///< Of its storage.
  std::int64_t stored = 0, offset = 0;
  std::string storage = "FloatStorage";
};

/// A contiguous float tensor that counts from `first`.
inline SavedTensor counting(const std::string& name, std::vector<std::int64_t> shape, float first = 0) {
  SavedTensor tensor{name, std::move(shape), {}, "", 1};
  tensor.strides.resize(tensor.shape.size());
  for (std::size_t i = tensor.shape.size(); i-- > 0; tensor.stored *= tensor.shape[i]) {
    tensor.strides[i] = tensor.stored;
  }
  for (std::int64_t i = 0; i < tensor.stored; ++i) tensor.bytes += little(first + static_cast<float>(i));
  return tensor;
}

/// Pieces of pickle programs.
inline std::string text(std::string_view value) {
  return "X" + little(static_cast<std::uint32_t>(value.size())) + std::string(value);
}
inline std::string whole(std::int64_t value) {
  return "\x8a\x08" + little(value);
}
inline std::string wholes(const std::vector<std::int64_t>& values) {
  std::string program = "(";
  for (const std::int64_t value : values) program += whole(value);
  return program + "t";
}
inline const std::string kOrderedDict = "ccollections\nOrderedDict\n)R";

inline std::string tensor_program(const SavedTensor& tensor, const std::string& key) {
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\n" + tensor.storage + "\n" + text(key) +
         text("cpu") + whole(tensor.stored) + "tQ" + whole(tensor.offset) + wholes(tensor.shape) +
         wholes(tensor.strides) + "\x89" + kOrderedDict + "tR";
}

/// The program of a dict of these tensors, whose storages are called 0, 1, …
inline std::string dict_program(const std::vector<SavedTensor>& tensors) {
  std::string program = "\x80\x02}(";
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    program += text(tensors[i].name) + tensor_program(tensors[i], std::to_string(i));
  }
  return program + "u.";
}

/// The files of such an archive, by which tests make others.
inline std::vector<ZippedFile> torch_files(const std::vector<SavedTensor>& tensors, const std::string& program) {
  std::vector<ZippedFile> files = {{"archive/data.pkl", program}, {"archive/byteorder", "little"}};
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    files.push_back({"archive/data/" + std::to_string(i), tensors[i].bytes});
  }
  files.push_back({"archive/version", "3\n"});
  return files;
}

/// What torch.save makes of a dict of these tensors.
inline std::string torch_archive(const std::vector<SavedTensor>& tensors) {
  return zip(torch_files(tensors, dict_program(tensors)));
}

}  // namespace mformer::testing
