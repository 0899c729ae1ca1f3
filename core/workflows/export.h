#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/workflows/train.h"
#include "core/workspace/session.h"

namespace mformer {

struct ExportOptions {
  std::string folder;
  std::string format;  ///< "gguf": one GGUF file, whose path `folder` is; empty = a folder.
  std::string layout;  ///< "transformers": any model, with the Python file that runs it there; empty = its family's.
  std::string domain;  ///< Write this hypothesis alone, a plain model: "base" or a domain's name; empty = all there is.
  std::string dtype;   ///< "float32", "bfloat16" or "float16"; empty = as stored, or, with `quantize`, "bfloat16".
  /// "int8", "int4": all matrices but the routers' in groups (of int4 embedding and head in 8 bits), in mformer's own
  /// layout; for transformers, int8 alone: the modules' matrices by output channel. `dtype` is then that of the rest.
  /// Empty = none. Of a GGUF file "q8_0", "q4_0" or "q4_1": all matrices; its cost is not measured.
  std::string quantize;
  bool evaluate = true;            ///< With `quantize`: measure what it costs.
  std::int64_t max_tokens = 8192;  ///< Held-out tokens per task for that, spread evenly; 0 = all.
  std::int64_t max_shard_bytes = 5'000'000'000;
  bool overwrite = false;  ///< Replace an export; see require_export_target().
  /// `folder` is that of a model in a hub's local cache, which gets a snapshot: core/formats/hub_snapshot.h.
  bool into_hub_cache = false;

  /// Throws UsageError for an unknown format, layout, dtype or method.
  void validate() const;
};

/// What the codes change against the same version written in `dtype` without it.
struct QuantizationCost {
  std::string method;  ///< ModelConfig::quantization of what was written.
  std::string dtype;
  std::int64_t weight_bytes_before = 0, weight_bytes_after = 0;  ///< Of all weights, scales included.
  std::vector<TaskChange> tasks;  ///< Losses of the two; every task that can be read, none if it was not asked for.
};

struct ExportReport {
  std::string folder;
  std::int64_t bytes = 0;                 ///< Of all files.
  std::size_t domains = 0;                ///< Written with it.
  bool equal_counts = false;              ///< All layers have the same number of modules.
  bool loadable_by_reference = false;     ///< By the family's own model class.
  bool loadable_by_transformers = false;  ///< By that, or by the Python file beside the weights.
  std::optional<QuantizationCost> quantization;
  std::string
      cut_off;  ///< Why what the codes cost is not measured; see after_commit(). The folder is written and whole.
};

/// Throws Error unless the folder (of GGUF: the file) may be written without a loss: it is new or empty, or an export
/// and nothing else that `overwrite` gives up, and in no case does it lie in or hold what a workspace remembers or the
/// data of a task of this one, under whatever path; a model of a hub's cache as require_hub_model(). export_model()
/// asks this first.
void require_export_target(const Registry& registry, const ExportOptions& options);

/// Throws what export_model() would for this version before it writes; returns how many weights it would write.
std::int64_t weights_to_export(const Registry& registry, const VersionRecord& version, const ExportOptions& options);

/// Writes a version as a GGUF file (export_gguf.h), or as a checkpoint folder with its tokenizer,
/// mformer_provenance.json, README.md (model_card.h) and what other programs look for (reader_files.h). Int8 modules
/// are written as numbers in `dtype`, or, with `quantize`, as the codes and scales that they are. The cost of int8 is
/// measured on what was written, read again: its losses are those of evaluate_tasks() on the imported checkpoint.
ExportReport export_model(Session& session, const VersionRecord& version, const ExportOptions& options);

}  // namespace mformer
