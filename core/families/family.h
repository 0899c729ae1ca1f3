#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/formats/model_config.h"

// The layouts in which models are published. A family is one file that says how its config.json and its tensors stand
// for a ModelConfig and our parameters; nothing that computes asks which family a model is from. A new one: its file,
// its line in families.cpp, recorded vectors in tests/data.
namespace mformer {

class HubFields;

/// A range of rows or columns.
struct Span {
  std::int64_t first = 0;
  std::int64_t count = -1;  ///< -1 = all.
};

/// Where a parameter of ours, or some columns of it, stand in a stored tensor.
struct Piece {
  std::string parameter;    ///< Its own name, parameter_names.h.
  std::int64_t index = -1;  ///< Which of the stored tensor's stacked matrices (or vectors); -1 = it is not stacked.
  Span rows = {};           ///< Of that matrix (of a vector: its elements).
  Span columns = {};        ///< Of that matrix.
  bool transposed = true;   ///< Stored [out, in], ours [in, out].
  std::int64_t to = 0;      ///< The first of the parameter's columns (of a vector: elements) that the piece fills.
};

/// A tensor of a published checkpoint and what it is made of.
struct StoredTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<Piece> pieces;
  /// codes, scale: of matrices that are int8 by output channel; blocks: of those quantised in groups.
  enum class Type { floating, codes, scale, blocks } type = Type::floating;
};

struct Family {
  std::string_view model_type;    ///< As in config.json.
  std::string_view architecture;  ///< The class in `architectures`.
  /// Takes the fields that it knows out of `hub` into a config; what is left there is kept as it is. Throws Error for
  /// what the family can have but mformer can't compute.
  void (*read)(HubFields& hub, ModelConfig& config);
  /// The reverse, into an object that holds what read() left. Throws Error, saying why, where readers of the family's
  /// checkpoints could not load such a model: unequal counts, say.
  void (*write)(const ModelConfig& config, nlohmann::json& hub);
  /// Every tensor, in the order in which they are written. A tied head is not among them.
  std::vector<StoredTensor> (*tensors)(const ModelConfig& config);
  /// Whether a tensor of this name may be in a checkpoint and means nothing.
  bool (*is_ignored)(std::string_view name);
  /// The names under which the embedding and the head are stored.
  std::string_view embedding, head;
};

/// All of them, mformer's own layout last.
const std::vector<const Family*>& families();

/// Throws Error, naming those there are, when there is none of that model_type.
const Family& family_of(std::string_view model_type, const std::string& source);
/// The config's own.
const Family& family_of(const ModelConfig& config);

/// Modules that a dense feed-forward layer is cut into, or the next fewer that divide its width, if nobody says.
inline constexpr std::int64_t kDefaultSlices = 8;

/// How a checkpoint is read.
struct ReadOptions {
  std::int64_t slices = 0;  ///< Modules that a dense feed-forward layer is cut into; 0 = as kDefaultSlices says.
};

/// What a config.json says.
struct HubConfig {
  ModelConfig config;              ///< Validated.
  const Family* layout = nullptr;  ///< Of the tensors beside it: its model_type's, mformer's own where that wrote it.
  bool names_end_tokens = false;   ///< Whether it has the field for them, whatever the value.
};

/// A config.json of any family; throws Error as ModelConfig::from_json().
HubConfig read_hub_config(std::string_view text, const std::string& source, const ReadOptions& options = {});

/// The config.json of the config's family; throws Error where the family has no such models.
std::string hub_config_json(const ModelConfig& config);

/// A family of transformers' whose config.json says all that this config does, the config's own before others: what is
/// written is read back as it was. Nothing where there is none.
std::optional<std::string> family_that_holds(const ModelConfig& config);
/// The config's family becomes that one, or stays.
void settle_family(ModelConfig& config);

}  // namespace mformer
