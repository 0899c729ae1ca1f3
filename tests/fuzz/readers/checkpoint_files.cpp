#include "core/formats/chat_format.h"
#include "core/formats/generation_config.h"
#include "core/formats/model_config.h"
#include "core/formats/safetensors.h"
#include "core/formats/weight_files.h"
#include "core/text/sentencepiece_json.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/readers.h"

namespace mformer::fuzz {
namespace {

/// Two shards: a in one, b and c in two.
void write_shards(const Scratch& scratch) {
  static const std::string bytes(4, '\0');
  const auto tensor = [](const char* name) { return TensorToWrite{{name, DType::F32, {1}}, as_bytes(bytes)}; };
  write_safetensors(scratch.path() / "one.safetensors", {tensor("a")});
  write_safetensors(scratch.path() / "two.safetensors", {tensor("b"), tensor("c")});
}

}  // namespace

/// What lies beside a checkpoint's weights, in parts: tokenizer_config.json, special_tokens_map.json,
/// added_tokens.json, chat_template.jinja, generation_config.json.
void read_chat_files(std::string_view input) {
  Scratch& scratch = Scratch::folder();
  write_parts(input, scratch);
  const std::filesystem::path& folder = scratch.path();
  read_sentencepiece_settings(folder);
  ModelConfig config;
  if (std::filesystem::exists(folder / "generation_config.json")) {
    take_generation_config(config, read_file(folder / "generation_config.json"), true, "generation_config.json");
  }
  const std::optional<ChatFormat> format = read_chat_format(folder);
  set_chat_format(config, format, "input");
  must(chat_format_of(config) == format, "a chat format is kept as it was read");
}

/// The index of weights beside two shards, of which one index is right.
void read_weight_index(std::string_view input) {
  static const bool written = [] {
    Scratch::folder().clear();
    write_shards(Scratch::folder());
    return true;
  }();
  must(written, "there are shards");
  const Scratch& scratch = Scratch::folder();
  scratch.write("model.safetensors.index.json", input);
  const WeightFiles files = open_weight_files(scratch.path());
  must(files.pickles.empty() && files.gguf.empty() && files.safetensors.size() <= 2, "nothing but shards is opened");
}

}  // namespace mformer::fuzz
