#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/model/model.h"

namespace mformer {

/// How a dense feed-forward layer, y = W_outᵀ act(W_inᵀ x), becomes modules that a router chooses from:
enum class UpcycleForm {
  /// Every module is the whole layer (sparse upcycling, arXiv 2212.05055). The gates of a token sum to 1, so that
  /// copies
  /// give what the layer gave, whatever the router chooses.
  copies,
  /// Every module is an equal part of the hidden width (after MoEfication, arXiv 2110.01786), its output map times the
  /// number that is chosen. While all gates are alike, as they are at first, the sum of all is the layer.
  slices
};

/// For a layer, the order in which its hidden units are put into slices: int64 [width], positions in the dense layer's
/// modules one after the other. A layer that is not there keeps them as they lie.
using UnitOrder = std::map<std::int64_t, at::Tensor>;

struct UpcyclePlan {
  static constexpr std::int64_t kMostModules = 1024;
  static constexpr double kBalance = 0.01;

  UpcycleForm form = UpcycleForm::copies;
  std::int64_t modules = 0;  ///< Of each layer, 2 … kMostModules.
  std::int64_t k = 0;        ///< Chosen for each token in the end, 1 … modules.
  /// What the balance loss weighs from then on; negative = kBalance for copies and 0 for slices, in a model that had
  /// routers what it weighed.
  double balance = -1;
  std::uint64_t seed = 0;  ///< Decides the routers' rows and the noise.
  UnitOrder order = {};    ///< Of slices.

  /// As require_upcycling().
  void validate() const;
};

/// Throws UsageError, naming the option, for numbers that UpcyclePlan can't have.
void require_upcycling(UpcycleForm form, std::int64_t modules, std::int64_t k);

/// Layers of which all modules are taken by every token, and that have some.
std::vector<std::int64_t> dense_layers(const Model& model);

/// Whether any feed-forward layer has a router.
bool routes_feed_forward(const Model& model);

/// Hidden units of the dense layer that has most.
std::int64_t widest_dense_layer(const Model& model);

/// Hidden units of a dense layer that each of its new modules has; a module may be filled up with more.
std::int64_t units_of_a_module(const Model& model, const UpcyclePlan& plan);

/// Throws Error or UsageError, saying why, where upcycled() could not make a model that computes what `model` does.
/// `name` is what the model is called in messages.
void require_upcyclable(const Model& model, const UpcyclePlan& plan, const std::string& name);

/// Its config while a token takes k of the new modules, but for the family.
ModelConfig upcycled_config(const Model& model, const UpcyclePlan& plan, std::int64_t k);

/// The model with every dense layer in modules of this form, which computes what `model` does: of copies with the
/// plan's k and random router rows, of slices with all of them taken and router rows of 0. It shares all tensors that
/// stay the same, and its family is still that of `model` (settle_family()). New modules have no uid. Layers narrower
/// than the widest, or than the modules of layers with a router, are filled up with hidden units that put out nothing.
/// `model` must be upcyclable.
Model upcycled(const Model& model, const UpcyclePlan& plan);

/// A token chooses k modules of these layers from now on.
void set_chosen(Model& model, const std::vector<std::int64_t>& layers, std::int64_t k);

/// The same for slices, whose output maps are scaled as they must be where gates sum to 1. In place: the maps must be
/// the model's own.
void choose_slices(Model& model, const std::vector<std::int64_t>& layers, std::int64_t k);

/// Gives the modules of these layers noise, `share` of the spread of each matrix, so that copies are told apart. New
/// tensors.
void add_noise(Model& model, const std::vector<std::int64_t>& layers, double share, std::uint64_t seed);

/// The new modules of layer `layer` were made of these of the model before, by uid, separated by commas: of copies all,
/// of a slice those that it has hidden units of.
std::string sources_of(const Model& before, const UpcyclePlan& plan, std::int64_t layer, std::int64_t module);

}  // namespace mformer
