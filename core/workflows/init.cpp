#include "core/workflows/init.h"

#include "core/checkpoint/hub_model.h"
#include "core/workflows/provenance.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {
namespace {

ModelConfig fresh_config(const InitOptions& options, const std::optional<Tokenizer>& tokenizer) {
  ModelConfig config = options.config.empty() ? preset(options.preset)
                                              : ModelConfig::from_json(read_file(options.config), options.config);
  if (tokenizer.has_value()) {
    config.vocab_size = tokenizer->vocab_size();
    config.bos_token_id = config.eos_token_id = tokenizer->end_of_text();
  }
  return config;
}

std::int64_t bytes_in(const std::filesystem::path& folder) {
  std::int64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_regular_file()) bytes += static_cast<std::int64_t>(entry.file_size());
  }
  return bytes;
}

at::ScalarType export_dtype(const std::string& name, at::ScalarType stored) {
  if (name.empty()) return stored;
  if (name == "float32") return at::kFloat;
  if (name == "bfloat16") return at::kBFloat16;
  if (name == "float16") return at::kHalf;
  throw UsageError("unknown dtype '" + name + "'", "known: float32, bfloat16, float16");
}

}  // namespace

Model build_initial_model(const InitOptions& options, std::uint64_t seed, std::optional<Tokenizer>& tokenizer) {
  if (!options.tokenizer.empty()) tokenizer = Tokenizer::load(options.tokenizer);
  if (options.from.empty()) return make_model(fresh_config(options, tokenizer), seed);
  const HubFolder folder = open_hub_folder(options.from);
  if (!tokenizer.has_value() && folder.tokenizer_path().has_value())
    tokenizer = Tokenizer::load(*folder.tokenizer_path());
  Model model = load_hub_model(folder);
  if (tokenizer.has_value() && tokenizer->vocab_size() > model.config.vocab_size) {
    throw Error("the tokenizer has " + std::to_string(tokenizer->vocab_size()) + " tokens, the model only " +
                    std::to_string(model.config.vocab_size) + " embedding rows",
                "is it the model's own tokenizer?");
  }
  return model;
}

InitReport init_model(Session& session, const InitOptions& options) {
  for (const ModelRecord& known : session.registry.models()) {
    if (known.name == options.model) {
      throw UsageError("there is a model '" + options.model + "' already", "choose another name: --name NAME");
    }
  }
  InitReport report;
  run_operation(session, options.model, {}, [&](std::int64_t operation) {
    std::optional<Tokenizer> tokenizer;
    Model model = build_initial_model(options, session.seed, tokenizer);
    const std::string tokenizer_object =
        tokenizer.has_value() ? session.registry.objects().put(as_bytes(tokenizer->to_json())) : "";
    Commit commit;
    commit.operation_id = operation;
    commit.model = options.model;
    commit.manifest = store_model(session.registry, model, tokenizer_object);
    commit.new_modules = birth_records(model, {}, options.from.empty() ? "init" : "import", "");
    report = {session.registry.commit_version(commit).version, model.config, size_of(model), tokenizer.has_value()};
  });
  return report;
}

ExportReport export_model(const Registry& registry, const VersionRecord& version, const ExportOptions& options) {
  LoadedVersion loaded = load_version(registry, version);
  convert(loaded.model, export_dtype(options.dtype, loaded.model.wte.scalar_type()));
  HubWriteOptions write;
  write.max_shard_bytes = static_cast<std::uint64_t>(options.max_shard_bytes);
  write.overwrite = options.overwrite;
  if (!loaded.manifest.tokenizer_object.empty()) {
    write.tokenizer_path = registry.objects().path(loaded.manifest.tokenizer_object);
  }
  write.extra_files["mformer_provenance.json"] = provenance_json(registry, version, loaded.manifest);
  save_hub_model(options.folder, loaded.model, write);
  const ModelConfig& config = loaded.model.config;
  return {options.folder, bytes_in(options.folder),
          config.n_att_experts_per_layer.empty() && config.n_mlp_experts_per_layer.empty()};
}

}  // namespace mformer
