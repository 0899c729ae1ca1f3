#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/formats/model_config.h"

namespace mformer {

/// What a parameter is for: what training, placement and the private parts of domains go by.
enum class ParameterRole {
  embedding,      ///< [vocab_size, n_embd]
  head,           ///< [vocab_size, n_embd]
  norm,           ///< Weight or bias of a norm.
  projection,     ///< A dense matrix [out, in] of the trunk.
  shared_map,     ///< A matrix [in, out] of a shared expert.
  bias,           ///< Added to what a matrix of the trunk, or a layer's modules, put out.
  router_weight,  ///< [gating_size, n_embd]
  router_bias,    ///< [gating_size]
  temperature,    ///< [1]
  map_in,         ///< [n_embd, columns] of a module.
  map_out,        ///< [hidden, n_embd] of a module.
  row,            ///< [gating_size] or [n_embd]: a module's row of the router.
  module_bias,    ///< [columns] of a module, added after `in`.
  head_norm,      ///< [att_hidden + head size] of an attention module: its part of the norms of queries and of keys.
  scale           ///< Of a matrix that is int8 by output channel.
};

/// One parameter of a model under mformer's own name (parameter_names.h).
struct ParameterShape {
  std::string name;
  std::vector<std::int64_t> shape;
  ParameterRole role;
  bool codes = false;  ///< int8, with a scale for each output channel.
  /// 8 or 4: blocks, uint8 [outputs, groups of 32 inputs, bytes] (kernels/quantised_blocks.h), of this many inputs.
  int bits = 0;
  std::int64_t inputs = 0;

  /// Weights that it holds.
  std::int64_t count() const;
};

/// Whether it is a matrix that quantisation in groups takes: all but the routers'.
bool is_matrix(ParameterRole role);

/// Whether the rows of such a matrix are its inputs; of the others they are its outputs.
bool has_rows_of_inputs(ParameterRole role);

/// Every parameter that a model of this (validated) config has, in the order of for_each_parameter (core/model/model.h)
/// without those of domains. A tied head is not among them; scales (of a quantised config) are.
std::vector<ParameterShape> parameter_shapes(const ModelConfig& config);

}  // namespace mformer
