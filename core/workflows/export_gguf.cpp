#include "core/workflows/export_gguf.h"

#include <filesystem>

#include "core/checkpoint/gguf_file_writer.h"
#include "core/families/gguf_model.h"
#include "core/formats/gguf_file.h"
#include "core/history/provenance.h"
#include "core/text/gguf_tokenizer_writer.h"
#include "modules_registry/error.h"
#include "modules_registry/paths.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;

constexpr const char* kProvenanceKey = "mformer.provenance";

struct NamedGgufType {
  const char* name;
  GgufType type;
  std::int64_t file_type;  ///< general.file_type: what most of the tensors are, by llama.cpp's numbers.
};

constexpr NamedGgufType kByDtype[] = {
    {"float32", GgufType::F32, 0}, {"bfloat16", GgufType::BF16, 32}, {"float16", GgufType::F16, 1}};
constexpr NamedGgufType kByQuantize[] = {
    {"q8_0", GgufType::Q8_0, 7}, {"q4_0", GgufType::Q4_0, 2}, {"q4_1", GgufType::Q4_1, 3}};

template <std::size_t kCount>
const NamedGgufType* named(const NamedGgufType (&all)[kCount], const std::string& name) {
  for (const NamedGgufType& one : all) {
    if (one.name == name) return &one;
  }
  return nullptr;
}

std::int64_t file_type_of(GgufType type) {
  for (const NamedGgufType& one : kByDtype) {
    if (one.type == type) return one.file_type;
  }
  for (const NamedGgufType& one : kByQuantize) {
    if (one.type == type) return one.file_type;
  }
  throw Error("no GGUF file is of type " + gguf_type_name(type));
}

bool is_ours(const fs::path& file) {
  try {
    return GgufFile::open(file).metadata().contains(kProvenanceKey);
  } catch (const Error&) {
    return false;
  }
}

void put_tokenizer(const LoadedVersion& loaded, GgufMetadata& metadata) {
  const ModelConfig& config = loaded.model.config;
  if (!loaded.tokenizer) {
    metadata["tokenizer.ggml.model"] = std::string("none");
    return;
  }
  GgufTokenIds ids{config.vocab_size, config.bos_token_id, config.end_tokens()};
  if (const auto end = loaded.tokenizer->find_end_of_text(); ids.ends.empty() && end) ids.ends.push_back(*end);
  put_gguf_tokenizer(*loaded.tokenizer, ids, metadata);
}

}  // namespace

GgufType gguf_type_of(const ExportOptions& options, at::ScalarType stored) {
  if (!options.quantize.empty() && !options.dtype.empty()) {
    throw UsageError("a GGUF file has one type for its matrices: --quantize and --dtype were both given",
                     "leave --dtype out: vectors and routers are float32 in any case");
  }
  if (!options.quantize.empty()) {
    if (const NamedGgufType* found = named(kByQuantize, options.quantize)) return found->type;
    throw UsageError("unknown quantisation '" + options.quantize + "' of a GGUF file", "known: q8_0, q4_0, q4_1");
  }
  if (options.dtype.empty()) {
    return stored == at::kBFloat16 ? GgufType::BF16 : stored == at::kHalf ? GgufType::F16 : GgufType::F32;
  }
  if (const NamedGgufType* found = named(kByDtype, options.dtype)) return found->type;
  throw UsageError("unknown dtype '" + options.dtype + "'", "known: float32, bfloat16, float16");
}

void require_gguf_target(const fs::path& file, bool overwrite) {
  if (file.extension() != ".gguf") {
    throw UsageError("a GGUF file is to be written, and '" + file.filename().string() + "' is not called one",
                     "for example: mformer export " + file.filename().string() + ".gguf --format gguf");
  }
  std::error_code ignored;
  if (!fs::exists(fs::symlink_status(file, ignored))) return;
  const std::string hint = "choose another name";
  if (!fs::is_regular_file(file, ignored)) throw Error("'" + file.string() + "' is there and is no file", hint);
  if (!is_ours(file)) throw Error("'" + file.string() + "' is there, and is no GGUF file that mformer wrote", hint);
  if (!overwrite) throw Error("'" + file.string() + "' is there", "choose another name, or replace it: --overwrite");
}

void require_gguf_model(const Model& model) {
  if (!model.domains.empty()) {
    throw Error("a GGUF file can't hold the domains of this model",
                "write one of them with --domain NAME (base: --domain base)");
  }
  gguf_metadata(model.config);
}

void export_gguf(const Registry& registry, const VersionRecord& version, const LoadedVersion& loaded,
                 const ByParameter& parameter, const ExportOptions& options, GgufType type) {
  const ModelConfig& config = loaded.model.config;
  require_gguf_model(loaded.model);
  GgufMetadata metadata = gguf_metadata(config);
  metadata["general.name"] = version.model;
  metadata["general.file_type"] = file_type_of(type);
  metadata["general.quantization_version"] = std::int64_t{2};  // of ggml's blocks
  metadata[kProvenanceKey] = provenance_json(registry, version, loaded.model, "");
  put_tokenizer(loaded, metadata);
  const fs::path file = options.folder;
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  if (error) throw_file_error("create", file.parent_path(), error.value());
  save_gguf_model(file, config, parameter, metadata, type);
}

}  // namespace mformer
