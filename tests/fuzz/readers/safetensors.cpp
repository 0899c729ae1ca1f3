#include "core/formats/safetensors.h"

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/readers.h"

namespace mformer::fuzz {

/// What is read and written again reads equal, and the same bytes come of it.
void read_safetensors(std::string_view input) {
  const SafetensorsFile file = SafetensorsFile::parse(as_bytes(input), "input");
  std::vector<std::vector<std::byte>> contents;
  for (const TensorView& tensor : file.tensors()) contents.push_back(tensor.content());
  std::vector<TensorToWrite> tensors;
  for (std::size_t i = 0; i < contents.size(); ++i) tensors.push_back({file.tensors()[i], contents[i]});
  const std::vector<std::byte> written =
      must_succeed("what was read can be written", [&] { return serialize_safetensors(tensors, file.metadata()); });
  const SafetensorsFile again =
      must_succeed("what was written is read", [&] { return SafetensorsFile::parse(written, "again"); });
  must(again.metadata() == file.metadata() && again.tensors().size() == tensors.size(), "nothing is lost on the way");
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorView& tensor = again.get(tensors[i].name);
    must(tensor.dtype == tensors[i].dtype && tensor.shape == tensors[i].shape && tensor.content() == contents[i],
         "a tensor is read as it was written");
  }
}

}  // namespace mformer::fuzz
