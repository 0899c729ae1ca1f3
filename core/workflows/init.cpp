#include "core/workflows/init.h"

#include <functional>
#include <memory>
#include <set>

#include "core/checkpoint/finite.h"
#include "core/checkpoint/hub_model.h"
#include "core/checkpoint/hub_parameters.h"
#include "core/formats/chat_format.h"
#include "core/formats/input_file.h"
#include "core/formats/quoted_name.h"
#include "core/formats/stand_in.h"
#include "core/workspace/version_outline.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {
namespace {

ModelConfig fresh_config(const InitOptions& options, const std::optional<Tokenizer>& tokenizer) {
  if (options.config.empty() && options.slices > 0) {
    throw UsageError("a fresh model of a known geometry has no dense layer to be cut into slices",
                     "leave --slices out, or name a dense model's config.json: --config FILE");
  }
  ModelConfig config = options.config.empty()
                           ? preset(options.preset)
                           : read_hub_config(read_bounded_file(options.config, kMostJsonBytes, "a config"),
                                             options.config, {options.slices})
                                 .config;
  if (tokenizer.has_value()) {
    config.vocab_size = tokenizer->vocab_size();
    config.set_end_tokens({tokenizer->ending_with(config.eos_token_id).end_of_text()});
    const std::vector<std::int32_t>& opening = tokenizer->frame().before;
    config.bos_token_id = opening.empty() ? config.eos_token_id : opening.front();
  }
  if (options.need_tokenizer && !tokenizer.has_value()) {
    throw UsageError("a fresh model without a tokenizer can never be trained on text",
                     "name one: --tokenizer tokenizer.json, which mformer tokenizer train --data DIR --vocab-size 4096 "
                     "makes; or say that it is to have none: --no-tokenizer");
  }
  config.quantization.clear();  // a geometry may come from an int8 checkpoint, but fresh weights are float32
  return config;
}

Tokenizer load_tokenizer(const std::string& file) {
  refuse_stand_in_at(file);
  return Tokenizer::load(file);
}

/// A tokenizer that the user names brings the chat template that lies beside it.
void take_chat_format(ModelConfig& config, const std::string& tokenizer) {
  if (tokenizer.empty()) return;
  const std::filesystem::path folder = std::filesystem::path(tokenizer).parent_path();
  if (const auto format = read_chat_format(folder)) set_chat_format(config, format, quoted_name(folder.string()));
}

[[noreturn]] void refuse_not_finite(const std::string& folder, const std::vector<std::string>& tensors) {
  const std::string others =
      tensors.size() > 1 ? " and " + std::to_string(tensors.size() - 1) + " other tensors" : std::string();
  throw Error("'" + folder + "' holds weights that are not finite numbers, in " + quoted_name(tensors.front()) + others,
              "a training that went astray leaves such weights: take an earlier checkpoint; to look at this one: "
              "--allow-not-finite");
}

/// Passes parameters on and notes which are not finite.
class FiniteCheck {
 public:
  FiniteCheck(const InitialModel& model, const InitOptions& options) : model_(model), options_(options) {}

  at::Tensor operator()(const std::string& name) {
    at::Tensor tensor = model_.parameter(name);
    if (!options_.from.empty() && !is_finite(tensor)) parameters_.insert(name);
    return tensor;
  }

  /// The stored tensors in which they are; refuses them unless they are allowed.
  std::vector<std::string> result() const {
    std::vector<std::string> tensors = tensors_with(model_.outline, parameters_);
    if (!tensors.empty() && !options_.allow_not_finite) refuse_not_finite(options_.from, tensors);
    return tensors;
  }

 private:
  const InitialModel& model_;
  const InitOptions& options_;
  std::set<std::string> parameters_;
};

/// The file stays open as long as the parameters are read.
ByParameter read_from(const std::shared_ptr<const HubFolder>& folder,
                      const std::shared_ptr<HubParameters>& parameters) {
  return [folder, parameters](const std::string& name) { return (*parameters)(name); };
}

}  // namespace

void require_new_model(const Registry& registry, const std::string& name) {
  const std::string hint = "choose another name: --name NAME";
  for (const ModelRecord& known : registry.models()) {
    if (known.name == name) throw UsageError("there is a model '" + name + "' already", hint);
  }
  for (const TagRecord& known : registry.tags()) {
    if (known.name == name) throw UsageError("there is a tag '" + name + "' already", hint);
  }
}

InitialModel build_initial_model(const InitOptions& options, std::uint64_t seed) {
  InitialModel made;
  if (!options.tokenizer.empty()) made.tokenizer = load_tokenizer(options.tokenizer);
  if (options.from.empty()) {
    made.outline = make_model(fresh_config(options, made.tokenizer), seed);
    take_chat_format(made.outline.config, options.tokenizer);
    made.parameter = parameters_of(made.outline);
    return made;
  }
  const auto folder = std::make_shared<const HubFolder>(open_hub_folder(options.from, {options.slices}));
  if (!made.tokenizer.has_value() && folder->tokenizer_path().has_value()) {
    made.tokenizer = Tokenizer::load(*folder->tokenizer_path());
  }
  const auto parameters = std::make_shared<HubParameters>(*folder);
  made.outline = parameters->outline();
  take_chat_format(made.outline.config, options.tokenizer);
  made.parameter = read_from(folder, parameters);
  const std::int64_t rows = made.outline.config.vocab_size;
  if (made.tokenizer.has_value() && made.tokenizer->vocab_size() > rows) {
    throw Error("the tokenizer has " + std::to_string(made.tokenizer->vocab_size()) + " tokens, the model only " +
                    std::to_string(rows) + " embedding rows",
                "is it the model's own tokenizer?");
  }
  return made;
}

InitReport would_init(const InitOptions& options, std::uint64_t seed) {
  InitialModel made = build_initial_model(options, seed);
  FiniteCheck check(made, options);
  for_each_parameter(made.outline, [&](const ParameterRef& ref) {
    if (ref.part != ParameterRef::Part::domain) check(ref.name);
  });
  return {{}, made.outline.config, size_of(made.outline), made.tokenizer.has_value(), check.result()};
}

InitReport init_model(Session& session, const InitOptions& options) {
  require_new_model(session.registry, options.model);
  InitReport report;
  run_operation(session, options.model, {}, [&](std::int64_t operation) {
    InitialModel made = build_initial_model(options, session.seed);
    const std::string tokenizer_object =
        made.tokenizer.has_value() ? session.registry.objects().put(as_bytes(made.tokenizer->to_json())) : "";
    FiniteCheck check(made, options);
    Commit commit;
    commit.operation_id = operation;
    commit.model = options.model;
    commit.manifest = store_outline(session.registry, made.outline, std::ref(check), tokenizer_object);
    report.not_finite = check.result();  // refused here, they leave objects without names, which go
    commit.new_modules = birth_records(made.outline, {}, options.from.empty() ? "init" : "import", "");
    report.version = session.registry.commit_version(commit).version;
    report.config = made.outline.config;
    report.size = size_of(made.outline);
    report.tokenizer = made.tokenizer.has_value();
  });
  return report;
}

}  // namespace mformer
