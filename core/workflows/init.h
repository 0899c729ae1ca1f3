#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/checkpoint/stored_pieces.h"
#include "core/families/family.h"
#include "core/workspace/session.h"

namespace mformer {

/// Where a first or further model comes from: a checkpoint folder, or fresh weights of a geometry.
struct InitOptions {
  std::string from;               ///< Checkpoint folder to import; empty = fresh weights.
  std::string config;             ///< A config.json of any family for fresh weights; empty = `preset`.
  std::string preset = "small";   ///< See preset_names().
  std::string tokenizer;          ///< tokenizer.json; empty = the checkpoint's own, or none.
  std::string model = "base";     ///< Name of the model.
  std::int64_t slices = 0;        ///< Modules that a dense feed-forward layer is cut into; 0 = ReadOptions' default.
  bool allow_not_finite = false;  ///< Import weights that are not finite numbers, to look at.
  bool need_tokenizer = false;    ///< Refuse fresh weights without one: they could never be trained on text.
};

struct InitReport {
  VersionRecord version;
  ModelConfig config;
  ModelSize size;
  bool tokenizer = false;
  std::vector<std::string> not_finite;  ///< Tensors with such weights; empty unless they were allowed.
};

/// A model whose weights are read when they are asked for, those of a checkpoint from its files.
struct InitialModel {
  Model outline;          ///< All but the weights, as HubParameters::outline().
  ByParameter parameter;  ///< The weights.
  std::optional<Tokenizer> tokenizer;
};

/// Throws UsageError if a model or tag has the name.
void require_new_model(const Registry& registry, const std::string& name);

/// The model that init() would make; touches no registry. With a tokenizer, fresh weights get its vocabulary size and
/// end-of-text id. Throws Error or UsageError for whatever is wrong with the files; the numbers in them aside.
InitialModel build_initial_model(const InitOptions& options, std::uint64_t seed);

/// What init_model() would report, with no version: all weights are read, one by one. Throws the same.
InitReport would_init(const InitOptions& options, std::uint64_t seed);

/// Makes the first version of a new model in the session's registry. Throws UsageError if the name is taken, and
/// Error, unless that is allowed, for weights that are not finite. Of a checkpoint one parameter or object at a time is
/// in memory.
InitReport init_model(Session& session, const InitOptions& options);

}  // namespace mformer
