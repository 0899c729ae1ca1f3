#include "core/workflows/export.h"

#include <functional>
#include <memory>

#include "core/checkpoint/hub_model.h"
#include "core/checkpoint/modeling_file.h"
#include "core/checkpoint/quantize.h"
#include "core/checkpoint/written_parameters.h"
#include "core/formats/chat_format.h"
#include "core/formats/hub_snapshot.h"
#include "core/formats/staged_folder.h"
#include "core/history/commit.h"
#include "core/history/model_card.h"
#include "core/history/provenance.h"
#include "core/model/domains.h"
#include "core/model/outline.h"
#include "core/workflows/export_gguf.h"
#include "core/workflows/export_types.h"
#include "core/workflows/reader_files.h"
#include "core/workspace/stage_plan.h"
#include "core/workspace/version_parameters.h"
#include "modules_registry/error.h"
#include "modules_registry/paths.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;

/// As the options and a checkpoint's config.json call it.
const char* name_of(at::ScalarType dtype) {
  return dtype == at::kFloat      ? "float32"
         : dtype == at::kBFloat16 ? "bfloat16"
         : dtype == at::kHalf     ? "float16"
                                  : c10::toString(dtype);
}

std::int64_t bytes_in(const std::filesystem::path& folder) {
  if (fs::is_regular_file(folder)) return static_cast<std::int64_t>(fs::file_size(folder));
  std::int64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_regular_file()) bytes += static_cast<std::int64_t>(entry.file_size());
  }
  return bytes;
}

void make_floating(Model& model, at::ScalarType dtype) {
  dequantize(model, dtype);
  convert(model, dtype);
}

/// Losses of the version in `dtype` and of the quantised checkpoint that was written, one model in memory after the
/// other.
std::vector<TaskChange> compare(Session& session, const VersionRecord& version, const ExportOptions& options,
                                at::ScalarType dtype) {
  LoadedVersion base = load_version(session.registry, version);
  if (!options.domain.empty()) base.model = view_of(base.model, options.domain);
  if (!base.tokenizer.has_value()) return {};
  make_floating(base.model, dtype);
  const StagePlan::Names names = all_tasks(session.registry);
  StagePlan(session).tokenise(base, names).evaluate(names).evaluate(names).announce();
  const std::vector<TaskData> tasks = readable_tasks(session, *base.tokenizer);
  const auto before = losses(session, "", base.model, tasks, options.max_tokens);
  base.model = Model();
  const Model written = load_hub_model(open_hub_folder(options.folder));
  return changes(tasks, before, losses(session, "", written, tasks, options.max_tokens));
}

/// Throws Error where an export would lie in what a workspace remembers, take its place, or mix with a task's data.
void require_apart(const Registry& registry, const fs::path& target) {
  const std::string hint = "choose a folder of its own";
  const fs::path memory = registry_around(target);
  if (!memory.empty()) {
    throw Error("'" + target.string() + "' lies in the memory of a workspace, '" + memory.string() + "'", hint);
  }
  if (lies_in(registry.folder(), target)) {
    throw Error("'" + target.string() + "' is the folder of this workspace, or lies above it", hint + " in it");
  }
  for (const TaskRecord& task : registry.tasks()) {
    const fs::path data = fs::absolute(registry.folder()).parent_path() / task.data_path;
    const bool inside = lies_in(target, data);
    if (!inside && !lies_in(data, target)) continue;
    throw Error("'" + target.string() +
                    (inside ? "' is, or lies in, the data of task '" : "' holds the data of task '") + task.name +
                    "', '" + data.string() + "'",
                hint);
  }
}

bool for_transformers(const ExportOptions& options) {
  return options.layout == "transformers";
}

bool has_equal_counts(const ModelConfig& config) {
  return config.n_att_experts_per_layer.empty() && config.n_mlp_experts_per_layer.empty();
}

/// A family that transformers has a class for: its config.json is not ours.
bool is_of_transformers(const ModelConfig& config) {
  return family_of(config).write != nullptr;
}

CardReaders readers_of(const Model& written, const ExportOptions& options) {
  if (for_transformers(options)) return CardReaders::transformers_code;
  if (written.config.block_bits() != 0) return CardReaders::mformer;
  if (is_of_transformers(written.config)) return CardReaders::family;  // or it is not written
  const bool family = has_equal_counts(written.config) && !written.config.is_quantized() && written.domains.empty();
  return family ? CardReaders::family : CardReaders::mformer;
}

/// What is exported: `version.model` has shapes and types, `parameter` the weights as the registry has them.
struct Exported {
  LoadedVersion version;
  ByParameter parameter;
};

/// One hypothesis of a model with domains is made in memory; all else is read from the registry when it is its turn.
Exported source_of(const Registry& registry, const VersionRecord& version, const std::string& domain) {
  const auto parameters = std::make_shared<VersionParameters>(registry, version);
  Exported exported{parameters->outline(), [parameters](const std::string& name) { return (*parameters)(name); }};
  if (domain.empty()) return exported;
  Model& model = exported.version.model;
  if (!model.domains.empty()) model = load_version(registry, version).model;
  model = view_of(model, domain);
  if (!model.wte.is_meta()) exported.parameter = parameters_of(model);
  return exported;
}

/// ModelConfig::quantization of what is written. Modules that are int8 by output channel keep their bits.
std::string quantisation_of(const ModelConfig& stored, const ExportOptions& options) {
  if (options.quantize != "int8") return options.quantize.empty() ? "" : "int4_groups";
  return for_transformers(options) || stored.quantization == "int8" ? "int8" : "int8_groups";
}

/// Whether mformer's own layout is written: what it alone can hold is, too.
bool is_native(const ModelConfig& written, const ExportOptions& options) {
  return for_transformers(options) || written.block_bits() != 0;
}

/// The model that is written, without its weights.
Model outline_of(const Model& stored, at::ScalarType dtype, const std::string& quantization) {
  ModelConfig config = stored.config;
  config.quantization = quantization;
  Model outline = outline_model(config, dtype);
  outline.domains = stored.domains;
  const auto shapes = shapes_by_name(config), stored_shapes = shapes_by_name(stored.config);
  for (Domain& domain : outline.domains) {
    for (PrivatePart& part : domain.parts) {
      const auto shape = shapes.find(part.name);  // none of a bank's rows
      part.value = shape == shapes.end() ? part.value.to(dtype)
                                         : rewritten(part.value, shape->second, stored_shapes.at(part.name), dtype);
    }
  }
  for (std::size_t l = 0; l < outline.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      ModuleBank& bank = outline.blocks[l].bank(kind);
      for (std::size_t i = 0; i < bank.modules.size(); ++i) {
        const Module& module = stored.blocks[l].bank(kind).modules[i];
        Module& written = bank.modules[i];
        written.uid = module.uid, written.frozen = module.frozen;
        written.domain = module.domain, written.hidden_from = module.hidden_from;
      }
    }
  }
  return outline;
}

void write(const Registry& registry, const VersionRecord& version, LoadedVersion& loaded, const ByParameter& parameter,
           const ExportOptions& options) {
  HubWriteOptions how;
  how.max_shard_bytes = static_cast<std::uint64_t>(options.max_shard_bytes);
  how.overwrite = options.overwrite;
  if (!loaded.manifest.tokenizer_object.empty()) {
    how.tokenizer_path = registry.objects().verified_path(loaded.manifest.tokenizer_object);
  }
  how.extra_files = reader_files(loaded);
  loaded.model.config.torch_dtype = name_of(loaded.model.ln_f.weight.scalar_type());
  const std::string card = model_card(registry, version, loaded.model, readers_of(loaded.model, options));
  how.extra_files["README.md"] = card;
  how.extra_files["mformer_provenance.json"] = provenance_json(registry, version, loaded.model, card);
  how.native = is_native(loaded.model.config, options);
  remove_chat_format(loaded.model.config);      // reader_files() holds it
  loaded.model.config.extra.erase("auto_map");  // of an imported checkpoint: its Python files are not written
  if (for_transformers(options)) {
    how.extra_files[kModelingFile] = modeling_file();
    loaded.model.config.extra["auto_map"] = auto_map();
  }
  save_hub_model(options.folder, loaded.model, parameter, how);
}

ExportReport export_snapshot(Session& session, const VersionRecord& version, ExportOptions options) {
  HubSnapshot snapshot(real_path(options.folder));
  options.into_hub_cache = false;
  options.folder = snapshot.checkpoint();
  ExportReport report = export_model(session, version, options);
  report.folder = snapshot.put_in_place();
  return report;
}

}  // namespace

void require_export_target(const Registry& registry, const ExportOptions& options) {
  if (options.folder.empty()) {
    throw UsageError("the folder to write has an empty name", "for example: mformer export checkpoint/");
  }
  const fs::path target = real_path(options.folder);
  require_apart(registry, target);
  if (is_gguf(options)) return require_gguf_target(target, options.overwrite);
  if (options.into_hub_cache) return require_hub_model(target);
  require_replaceable(target, options.overwrite);
}

std::int64_t weights_to_export(const Registry& registry, const VersionRecord& version, const ExportOptions& options) {
  options.validate();
  require_export_target(registry, options);
  Model model = source_of(registry, version, options.domain).version.model;
  if (is_gguf(options)) {
    require_gguf_model(model);
    return size_of(model).weights;
  }
  model.config.quantization = quantisation_of(model.config, options);
  require_writable(model, is_native(model.config, options));
  return size_of(model).weights;
}

ExportReport export_model(Session& session, const VersionRecord& version, const ExportOptions& asked) {
  asked.validate();
  require_export_target(session.registry, asked);
  if (asked.into_hub_cache) return export_snapshot(session, version, asked);
  ExportOptions options = asked;
  options.folder = real_path(asked.folder).string();  // "." is another folder once it was replaced
  Exported exported = source_of(session.registry, version, options.domain);
  LoadedVersion& loaded = exported.version;
  const ModelConfig stored = loaded.model.config;
  ExportReport report;
  report.folder = asked.folder;
  if (is_gguf(options)) {
    const GgufType type = gguf_type_of(options, loaded.model.ln_f.weight.scalar_type());
    loaded.model = outline_of(loaded.model, at::kFloat, "");
    WrittenParameters numbers(loaded.model.config, stored, std::move(exported.parameter), at::kFloat);
    export_gguf(session.registry, version, loaded, std::ref(numbers), options, type);
    report.bytes = bytes_in(options.folder);
    return report;
  }
  const at::ScalarType dtype = exported_dtype(options, loaded.model.ln_f.weight.scalar_type());
  loaded.model = outline_of(loaded.model, dtype, quantisation_of(stored, options));
  WrittenParameters written(loaded.model.config, stored, std::move(exported.parameter), dtype);
  write(session.registry, version, loaded, std::ref(written), options);
  const ModelConfig& config = loaded.model.config;
  report.bytes = bytes_in(options.folder);
  report.equal_counts = has_equal_counts(config);
  report.domains = loaded.model.domains.size();
  const CardReaders readers = readers_of(loaded.model, options);
  report.loadable_by_reference = readers == CardReaders::family;
  report.loadable_by_transformers =
      readers == CardReaders::transformers_code || (report.loadable_by_reference && is_of_transformers(config));
  if (options.quantize.empty()) return report;
  const ModelSize size = size_of(loaded.model);
  const auto element = static_cast<std::int64_t>(c10::elementSize(dtype));
  report.quantization = {config.quantization, name_of(dtype), size.weights * element, size.bytes, {}};
  if (options.evaluate) {
    report.cut_off = after_commit([&] { report.quantization->tasks = compare(session, version, options, dtype); });
  }
  return report;
}

}  // namespace mformer
