#include "core/families/gguf_model.h"
#include "core/formats/gguf_file.h"
#include "core/text/gguf_tokenizer.h"
#include "core/text/tokenizer.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/readers.h"

namespace mformer::fuzz {
namespace {

/// In two parts, as no more than one need be in memory. Four bits become 32 here, so the file may be eight times
/// smaller.
void read_all_of(const GgufFile& file, const GgufTensor& tensor) {
  std::int64_t elements = 1;
  for (const std::int64_t size : tensor.shape) elements *= size;
  const std::int64_t half = elements / 2;
  const auto item = static_cast<std::int64_t>(item_size(tensor.dtype));
  for (const auto& [first, count] : {std::pair{std::int64_t{0}, half}, std::pair{half, elements - half}}) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(count * item));
    must_succeed("a tensor that was checked can be read", [&, first = first] {
      file.read(tensor, first, bytes);
      return true;
    });
  }
}

}  // namespace

void read_gguf(std::string_view input) {
  const GgufFile file = GgufFile::open(Scratch::folder().write("model.gguf", input));
  for (const GgufTensor& tensor : file.tensors()) read_all_of(file, tensor);
  if (has_gguf_tokenizer(file.metadata())) {
    Tokenizer::from_json(gguf_tokenizer_json(file.metadata(), "model.gguf"), "model.gguf").encode("A text, é.");
  }
  const HubConfig read = read_gguf_config({file});
  must_succeed("a config that was read is sound", [&] {
    read.config.validate();
    return true;
  });
}

}  // namespace mformer::fuzz
