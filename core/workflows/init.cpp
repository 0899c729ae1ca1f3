#include "core/workflows/init.h"

#include "core/checkpoint/hub_model.h"
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
  config.quantization.clear();  // a geometry may come from an int8 checkpoint, but fresh weights are float32
  return config;
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

}  // namespace mformer
