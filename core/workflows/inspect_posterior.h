#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/workspace/session.h"

namespace mformer {

struct InspectPosteriorCommand {
  std::string task;                 ///< Whose held-out documents are read; or
  std::optional<std::string> text;  ///< a text, as one document.
  std::int64_t max_documents = 20;  ///< Of a task, evenly spread; 0 = all.
  bool tokens = false;              ///< Also every token.
};

/// One token as it was predicted.
struct PredictedToken {
  std::string text;             ///< Its bytes: maybe a part of a character.
  double log_prob = 0;          ///< Nats, of the mixture.
  std::vector<double> weights;  ///< [hypotheses] with which they predicted it; the sum is 1.
};

/// What the posterior over births made of one document. It starts anew every `context` tokens, as where losses are
/// measured.
struct DocumentPosterior {
  std::int64_t number = 0;     ///< Of the task's held-out documents, from 0.
  std::int64_t predicted = 0;  ///< Tokens: all but the first.
  double loss = 0;             ///< Nats per predicted token that counts; NaN where none does.
  std::vector<double> shares;  ///< [hypotheses] mean weight over the tokens predicted; empty where there are none.
  std::string text;            ///< Valid UTF-8.
  std::vector<PredictedToken> tokens;  ///< If asked for.
};

struct PosteriorPicture {
  std::vector<std::string> hypotheses;  ///< "base", and each domain.
  std::vector<DocumentPosterior> documents;
  std::int64_t all_documents = 0;  ///< That there are.
};

/// Which hypotheses of a model with domains predicted what, in float32, each reading everything. Throws Error where the
/// model has no domains, and where the task has no held-out document.
PosteriorPicture inspect_posterior(Session& session, LoadedVersion version, const InspectPosteriorCommand& command);

}  // namespace mformer
