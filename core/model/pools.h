#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace mformer {

/// Document pools: in training, all tokens of one document choose their modules inside one small pool of the bank's
/// modules, so that modules that serve the same documents come to belong together and the others can be pruned. Every
/// router makes its own pools, anew in every step: mformer's own form of modularity in pretraining.
///
/// The pool of a document is drawn from the mean routing of its own tokens, those after a token included. So a
/// training step is not strictly causal: which modules a token may use says a little about what follows. The choice is
/// without gradient, and no evaluation or generation ever uses pools: what they report is causal.
struct DocumentPools {
  std::int64_t pools = 2;              ///< A pool holds 1/pools of the bank's modules, rounded up, and at least k.
  std::vector<std::int64_t> lengths;   ///< Tokens of each document, in the order of a batch flattened batch-major.
  std::vector<std::int64_t> confined;  ///< Of each document: 1 = it chooses inside a pool, 0 = among all modules.
  std::int64_t before = 0, after = 0;  ///< Documents of the batch that other processes have, before and after these.
};

/// How a training run uses pools.
struct PoolOptions {
  std::int64_t pools = 0;         ///< As DocumentPools::pools; 0 = off.
  double share = 1;               ///< Probability that a document is confined, 0 … 1, drawn anew in every step.
  std::int64_t end_of_text = -1;  ///< The token that ends a document.
};

/// Lengths of the pieces that `end_of_text` and the ends of the rows cut inputs [batch, tokens], on the CPU, into; the
/// token itself belongs to the document it ends. They sum to batch · tokens.
std::vector<std::int64_t> document_lengths(const at::Tensor& inputs, std::int64_t end_of_text);

/// The documents of a batch, and which of them are confined.
DocumentPools draw_documents(const at::Tensor& inputs, const PoolOptions& options, at::Generator generator);

/// Of the documents of a whole batch those of `rows` rows of `tokens` tokens from row `first` on.
DocumentPools documents_of_rows(const DocumentPools& all, std::int64_t first, std::int64_t rows, std::int64_t tokens);

/// [tokens, modules], bool: the modules that each token may choose. probs [tokens, modules] is the router's softmax. A
/// document's pool are its modules of the largest mean probability, each taken times exp(0.2 · N(0, 1)): a module that
/// no document would choose gets its chance.
at::Tensor pool_mask(const at::Tensor& probs, std::int64_t k, const DocumentPools& documents,
                     const std::optional<at::Generator>& generator);

}  // namespace mformer
