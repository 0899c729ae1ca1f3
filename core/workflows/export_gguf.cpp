#include "core/workflows/export_gguf.h"

#include <filesystem>
#include <utility>

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

/// general.file_type: what most of the tensors are, by llama.cpp's numbers.
std::int64_t file_type_of(GgufType type) {
  constexpr std::pair<GgufType, std::int64_t> numbers[] = {{GgufType::F32, 0},  {GgufType::F16, 1},
                                                           {GgufType::Q4_0, 2}, {GgufType::Q4_1, 3},
                                                           {GgufType::Q8_0, 7}, {GgufType::BF16, 32}};
  for (const auto& [known, number] : numbers) {
    if (known == type) return number;
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
