#include "core/workflows/export.h"

#include "core/checkpoint/hub_model.h"
#include "core/checkpoint/modeling_file.h"
#include "core/checkpoint/quantize.h"
#include "core/formats/staged_folder.h"
#include "core/history/commit.h"
#include "core/history/model_card.h"
#include "core/history/provenance.h"
#include "core/model/domains.h"
#include "core/workflows/reader_files.h"
#include "modules_registry/error.h"
#include "modules_registry/paths.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;

constexpr std::pair<const char*, at::ScalarType> kDtypes[] = {
    {"float32", at::kFloat}, {"bfloat16", at::kBFloat16}, {"float16", at::kHalf}};

at::ScalarType dtype_of(const ExportOptions& options, at::ScalarType stored) {
  const std::string name = options.dtype.empty() && !options.quantize.empty() ? "bfloat16" : options.dtype;
  if (name.empty()) return stored;
  for (const auto& [known, dtype] : kDtypes) {
    if (name == known) return dtype;
  }
  throw UsageError("unknown dtype '" + name + "'", "known: float32, bfloat16, float16");
}

const char* name_of(at::ScalarType dtype) {
  for (const auto& [name, known] : kDtypes) {
    if (dtype == known) return name;
  }
  return c10::toString(dtype);
}

std::int64_t bytes_in(const std::filesystem::path& folder) {
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

/// Losses of the version in `dtype` and of the int8 checkpoint that was written, one model in memory after the other.
std::vector<TaskChange> compare(Session& session, const VersionRecord& version, const ExportOptions& options,
                                at::ScalarType dtype) {
  LoadedVersion base = load_version(session.registry, version);
  if (!options.domain.empty()) base.model = view_of(base.model, options.domain);
  if (!base.tokenizer.has_value()) return {};
  make_floating(base.model, dtype);
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

CardReaders readers_of(const Model& written, const ExportOptions& options) {
  if (for_transformers(options)) return CardReaders::transformers_code;
  if (written.config.family != "moduleformer") return CardReaders::family;  // or it is not written
  const bool family = has_equal_counts(written.config) && !written.config.is_quantized() && written.domains.empty();
  return family ? CardReaders::family : CardReaders::mformer;
}

void write(const Registry& registry, const VersionRecord& version, LoadedVersion& loaded,
           const ExportOptions& options) {
  HubWriteOptions how;
  how.max_shard_bytes = static_cast<std::uint64_t>(options.max_shard_bytes);
  how.overwrite = options.overwrite;
  if (!loaded.manifest.tokenizer_object.empty()) {
    how.tokenizer_path = registry.objects().verified_path(loaded.manifest.tokenizer_object);
  }
  how.extra_files = reader_files(loaded);
  loaded.model.config.torch_dtype = name_of(loaded.model.wte.scalar_type());
  const std::string card = model_card(registry, version, loaded.model, readers_of(loaded.model, options));
  how.extra_files["README.md"] = card;
  how.extra_files["mformer_provenance.json"] = provenance_json(registry, version, loaded.model, card);
  how.native = for_transformers(options);
  loaded.model.config.extra.erase("auto_map");  // of an imported checkpoint: its Python files are not written
  if (how.native) {
    how.extra_files[kModelingFile] = modeling_file();
    loaded.model.config.extra["auto_map"] = auto_map();
  }
  save_hub_model(options.folder, loaded.model, how);
}

}  // namespace

void ExportOptions::validate() const {
  dtype_of(*this, at::kFloat);
  if (!quantize.empty() && quantize != "int8") {
    throw UsageError("unknown quantisation '" + quantize + "'", "known: int8");
  }
  if (!layout.empty() && layout != "transformers") {
    throw UsageError("unknown reader '" + layout + "'", "known: transformers");
  }
}

void require_export_target(const Registry& registry, const ExportOptions& options) {
  if (options.folder.empty()) {
    throw UsageError("the folder to write has an empty name", "for example: mformer export checkpoint/");
  }
  const fs::path target = real_path(options.folder);
  require_apart(registry, target);
  require_replaceable(target, options.overwrite);
}

std::int64_t weights_to_export(const Registry& registry, const VersionRecord& version, const ExportOptions& options) {
  options.validate();
  require_export_target(registry, options);
  Model model = load_version(registry, version).model;
  if (!options.domain.empty()) model = view_of(model, options.domain);
  model.config.quantization = options.quantize;
  require_writable(model, for_transformers(options));
  return size_of(model).weights;
}

ExportReport export_model(Session& session, const VersionRecord& version, const ExportOptions& asked) {
  asked.validate();
  require_export_target(session.registry, asked);
  ExportOptions options = asked;
  options.folder = real_path(asked.folder).string();  // "." is another folder once it was replaced
  LoadedVersion loaded = load_version(session.registry, version);
  if (!options.domain.empty()) loaded.model = view_of(loaded.model, options.domain);
  const at::ScalarType dtype = dtype_of(options, loaded.model.wte.scalar_type());
  ExportReport report;
  report.folder = asked.folder;
  if (options.quantize.empty()) {
    make_floating(loaded.model, dtype);
  } else {
    quantize(loaded.model);
    convert(loaded.model, dtype);
  }
  write(session.registry, version, loaded, options);
  const ModelConfig& config = loaded.model.config;
  report.bytes = bytes_in(options.folder);
  report.equal_counts = has_equal_counts(config);
  report.domains = loaded.model.domains.size();
  const CardReaders readers = readers_of(loaded.model, options);
  report.loadable_by_reference = readers == CardReaders::family;
  report.loadable_by_transformers =
      readers == CardReaders::transformers_code || (report.loadable_by_reference && config.family != "moduleformer");
  if (options.quantize.empty()) return report;
  const ModelSize size = size_of(loaded.model);
  const auto element = static_cast<std::int64_t>(c10::elementSize(dtype));
  report.quantization = {name_of(dtype), size.weights * element, size.bytes, {}};
  loaded.model = Model();  // compare() loads two others
  if (options.evaluate) {
    report.cut_off = after_commit([&] { report.quantization->tasks = compare(session, version, options, dtype); });
  }
  return report;
}

}  // namespace mformer
