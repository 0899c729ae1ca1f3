#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/model/model.h"
#include "core/text/tokenizer.h"
#include "modules_registry/registry.h"

namespace mformer {

/// A version in memory. Objects are safetensors files: a module holds `in` and `out`, where these are int8 by output
/// channel `in_scale` and `out_scale`, and what else its form has (`in_bias`, `head_norm`); a router `rows` (its
/// modules' rows, stacked) and, as its gate type has them, `weight`, `bias`, `temperature`; a trunk part `weight` and
/// maybe `bias` (a shared expert `in`, `out`, `gate`); a domain's private part `value` and maybe `rows`. An unrouted
/// bank has no router. Matrices of a domain that is Domain::eight_bits are blocks where these are exact, and read as
/// the numbers that they were.
struct LoadedVersion {
  VersionRecord record;
  Manifest manifest;
  Model model;                         ///< Its modules carry uids and frozen flags.
  std::optional<Tokenizer> tokenizer;  ///< Absent when the model was imported without one.
  /// The model that a command works on, and whose next version it makes: another than the version's own when that model
  /// points to a version of another (after an undo, say). load_version() takes the version's own.
  /// "" where no model may be moved: refuse_while_looking().
  std::string target;
};

/// Reads a version's objects, with `spread_over` only what this process has of a model that is spread over these
/// (core/model/expert_parallel.h). Throws Error when one is missing or does not fit the config: mformer fsck says more.
LoadedVersion load_version(const Registry& registry, const VersionRecord& version, ProcessGroup* spread_over = nullptr);

/// The tokenizer, or Error with a hint if the version has none.
const Tokenizer& require_tokenizer(const LoadedVersion& version);

/// Throws Error with a hint if the version's weights are quantised: no trainer changes those.
void require_trainable(const LoadedVersion& version);

/// Puts the model's parts into the object store (what is there already is not written again) and returns its manifest.
/// Modules without a uid are new: they get one, in `model` and in the manifest.
Manifest store_model(Registry& registry, Model& model, const std::string& tokenizer_object);

/// Birth records for the modules of `model` that are not in `known` (uids), to be given to Registry::commit_version.
/// `origin(kind, layer, index)` may name the uid a module was copied from.
std::vector<ModuleRecord> birth_records(const Model& model, const std::vector<std::string>& known,
                                        const std::string& command, const std::string& task,
                                        const std::function<std::string(Kind, int, std::int64_t)>& origin = {});

/// Uids of all modules of a version.
std::vector<std::string> module_uids(const Manifest& manifest);

/// The modules of `model` that version `earlier` has too: what is left under a mask of everything born later.
ModuleSelection born_by(const Model& model, const Manifest& earlier);

}  // namespace mformer
