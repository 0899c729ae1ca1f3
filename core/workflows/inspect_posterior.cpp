#include "core/workflows/inspect_posterior.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/decoding/text_scorer.h"
#include "core/model/domains.h"
#include "core/text/utf8.h"
#include "core/workspace/stage_plan.h"
#include "core/workspace/task_data.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

/// Reads documents with one model.
class Reader {
 public:
  Reader(LoadedVersion version, bool tokens, at::Device device)
      : tokenizer_(require_tokenizer(version)),
        context_(static_cast<std::size_t>(version.model.config.block_size)),
        tokens_(tokens),
        scorer_(std::move(version.model), at::kFloat, {}, device) {}

  /// `tokens` as TokenData has them.
  DocumentPosterior read(const std::vector<std::uint32_t>& tokens) {
    std::vector<std::int64_t> ids;
    for (const std::uint32_t token : tokens) ids.push_back(token & TokenData::kIdMask);
    DocumentPosterior result;
    const std::vector<std::int32_t> whole(ids.begin(), ids.end());
    result.text = replace_invalid_utf8(tokenizer_.decode(whole, {.skip_special = true}));
    double sum = 0;
    std::int64_t counted = 0;
    for (std::size_t begin = 0; begin + 1 < ids.size(); begin += context_) {
      const std::vector<std::int64_t> window(
          ids.begin() + static_cast<std::ptrdiff_t>(begin),
          ids.begin() + static_cast<std::ptrdiff_t>(std::min(ids.size(), begin + context_ + 1)));
      const std::vector<double> log_probs = scorer_.score(window, 1);
      for (std::size_t t = 1; t < window.size(); ++t) {
        add(result, window[t], log_probs[t - 1], scorer_.weights(t));
        if ((tokens[begin + t] & TokenData::kNoLoss) == 0) sum -= log_probs[t - 1], ++counted;
      }
    }
    result.loss = counted > 0 ? sum / static_cast<double>(counted) : std::numeric_limits<double>::quiet_NaN();
    for (double& share : result.shares) share /= static_cast<double>(result.predicted);
    return result;
  }

  DocumentPosterior read_text(const std::string& text) {
    const std::vector<std::int32_t> ids = tokenizer_.encode(text);
    const auto opening = tokenizer_.opening_of(ids);
    std::vector<std::uint32_t> tokens(opening.begin(), opening.end());
    tokens.insert(tokens.end(), ids.begin(), ids.end());
    return read(tokens);
  }

 private:
  void add(DocumentPosterior& result, std::int64_t id, double log_prob, const std::vector<double>& weights) const {
    ++result.predicted;
    result.shares.resize(weights.size());
    for (std::size_t h = 0; h < weights.size(); ++h) result.shares[h] += weights[h];
    if (!tokens_) return;
    const auto token = static_cast<std::int32_t>(id);
    result.tokens.push_back({tokenizer_.decode(std::span(&token, 1), {.continues = true}), log_prob, weights});
  }

  Tokenizer tokenizer_;
  std::size_t context_;
  bool tokens_;
  TextScorer scorer_;
};

void require_domains(const LoadedVersion& version) {
  if (!version.model.domains.empty()) return;
  throw Error(to_string(version.record) + " has no domains: there is no posterior that decides between them",
              "mformer extend makes one: see mformer extend --help");
}

}  // namespace

PosteriorPicture inspect_posterior(Session& session, LoadedVersion version, const InspectPosteriorCommand& command) {
  require_domains(version);
  PosteriorPicture picture;
  picture.hypotheses = hypotheses(version.model);
  if (command.text) {
    picture.all_documents = 1;
    picture.documents.push_back(Reader(std::move(version), command.tokens, session.device).read_text(*command.text));
    return picture;
  }
  StagePlan(session).tokenise(version, {command.task}).then("read documents").announce();
  const TaskData task = open_task(session, require_tokenizer(version), command.task, "");
  const TokenData& data = task.tokens.require(Split::held_out);
  picture.all_documents = data.documents();
  const std::int64_t read =
      command.max_documents > 0 ? std::min(command.max_documents, data.documents()) : data.documents();
  Reader reader(std::move(version), command.tokens, session.device);
  for (std::int64_t i = 0; i < read; ++i) {
    session.watcher.tell("read documents", i, read);
    if (session.watcher.stops()) throw EvaluationInterrupted("interrupted while documents were read");
    const std::int64_t number = i * data.documents() / read;
    picture.documents.push_back(reader.read(data.document(number)));
    picture.documents.back().number = number;
  }
  return picture;
}

}  // namespace mformer
