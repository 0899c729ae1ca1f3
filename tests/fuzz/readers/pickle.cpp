#include "core/formats/state_dict_program.h"
#include "core/formats/torch_file.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/readers.h"

namespace mformer::fuzz {
namespace {

/// A tensor of a file is at most some kilobytes, whatever it says of itself: its storage lies in the file.
void read_all_of(const TorchFile& file, const PickledTensor& tensor) {
  const std::optional<std::int64_t> span = elements_spanned(tensor);
  must(span.has_value() && *span <= tensor.stored - tensor.offset, "a tensor lies in its storage");
  std::vector<std::byte> bytes(static_cast<std::size_t>(*span) * static_cast<std::size_t>(item_size(tensor.dtype)));
  must_succeed("a tensor that was checked can be read", [&] {
    file.read(tensor, tensor.offset, bytes);
    return true;
  });
}

}  // namespace

void read_pickle(std::string_view input) {
  const TorchFile file = TorchFile::open(Scratch::folder().write("pytorch_model.bin", input));
  for (const PickledTensor& tensor : file.tensors()) {
    must(file.find(tensor.name) == &tensor, "a tensor is found by its name");
    read_all_of(file, tensor);
  }
}

/// The program alone, whose numbers nothing has compared yet.
void read_pickle_program(std::string_view input) {
  for (const PickledTensor& tensor : read_state_dict_program(input, "input")) {
    const std::optional<std::int64_t> span = elements_spanned(tensor);
    must(!span || *span >= 0, "a span is not negative");
    must(!span || tensor.strides.size() == tensor.shape.size(), "what spans elements has a stride a dimension");
    if (span) is_contiguous(tensor);
  }
}

}  // namespace mformer::fuzz
