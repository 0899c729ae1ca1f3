#include "core/text/gguf_pre.h"

namespace mformer {
namespace {

using Object = nlohmann::ordered_json;

constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// Of names that mean the same the first is written.
constexpr GgufPre kGgufPres[] = {
    {"gpt-2", nullptr, false, false, false, false},  {"smollm", nullptr, true, false, false, false},
    {"olmo", nullptr, false, true, false, false},    {"llama-bpe", kLlama3, false, false, true, true},
    {"qwen2", kQwen2, false, true, false, false},    {"starcoder", nullptr, true, false, false, false},
    {"refact", nullptr, true, false, false, false},  {"codeshell", nullptr, true, false, false, false},
    {"mpt", nullptr, false, true, false, false},     {"llama3", kLlama3, false, false, true, true},
    {"llama-v3", kLlama3, false, false, true, true}, {"deepseek-r1-qwen", kQwen2, false, true, false, false}};

}  // namespace

Object GgufPre::normalizer() const {
  return composed ? Object{{"type", "NFC"}} : Object();
}

Object GgufPre::pre_tokenizer() const {
  Object bytes = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", pattern == nullptr}};
  if (pattern == nullptr && !single_digits) return bytes;
  Object first =
      single_digits
          ? Object{{"type", "Digits"}, {"individual_digits", true}}
          : Object{{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
  return {{"type", "Sequence"}, {"pretokenizers", Object::array({std::move(first), std::move(bytes)})}};
}

const GgufPre* gguf_pre(std::string_view name) {
  return find_gguf_pre([&](const GgufPre& known) { return known.name == name; });
}

const GgufPre* find_gguf_pre(const std::function<bool(const GgufPre&)>& fits) {
  for (const GgufPre& known : kGgufPres) {
    if (fits(known)) return &known;
  }
  return nullptr;
}

}  // namespace mformer
