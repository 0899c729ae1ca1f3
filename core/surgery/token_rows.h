#pragma once

#include <vector>

#include "core/model/model.h"
#include "core/training/adamw.h"
#include "core/workspace/session.h"

namespace mformer {

/// [vocab_size], bool: the tokens that come fewer than `fewer_than` times in the training text of these tasks. Throws
/// Error when a text has a token that is none of the vocabulary.
at::Tensor rare_tokens(std::int64_t vocabulary, const std::vector<TaskData>& tasks, std::int64_t fewer_than);

/// Turns gradients on for the embedding and head rows of the tokens marked in `tokens`, and lists both. The other rows
/// keep their bits: without a gradient and without decay AdamW does not move them.
std::vector<TrainedParameter> train_token_rows(Model& model, const at::Tensor& tokens);

}  // namespace mformer
