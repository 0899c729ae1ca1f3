#include "core/decoding/text_scorer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/decoding/decoding_view.h"
#include "core/decoding/mixed_log_probs.h"
#include "core/decoding/next_token.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

constexpr double kNotAsked = std::numeric_limits<double>::quiet_NaN();

/// Tokens that are read at once: the log-probabilities after each of them are in memory together.
constexpr std::size_t kMostRead = 256;

}  // namespace

struct TextScorer::View {
  DecodingView model;
  KeyValueCache cache;
};

TextScorer::TextScorer(Model model, at::ScalarType dtype, const PosteriorOptions& options, at::Device device)
    : start_(model.domains.size(), options) {
  for (DecodingView& view : decoding_views(std::move(model), dtype, device)) {
    views_.push_back(std::make_unique<View>(View{std::move(view), KeyValueCache()}));
  }
}

TextScorer::~TextScorer() = default;

std::vector<double> TextScorer::score(const std::vector<std::int64_t>& ids, std::size_t first) {
  if (first < 1 || first > ids.size()) throw Error("the first token to be scored must follow another");
  if (first == ids.size()) return {};
  read_to(std::span(ids).first(ids.size() - 1), first);
  std::vector<double> log_probs;
  for (std::size_t at = first; at + 1 < ids.size(); ++at) log_probs.push_back(steps_[at].log_prob);
  Posterior after = now();
  log_probs.push_back(-after.observe(seen(ids.back())));
  if (std::any_of(log_probs.begin(), log_probs.end(), [](double one) { return !std::isfinite(one); })) {
    throw Error("the model's logits are not finite numbers, so nothing can be said of a text",
                "weights that are not finite (of a training that went astray) do that: mformer undo goes back");
  }
  return log_probs;
}

std::vector<std::int64_t> TextScorer::go_on(const std::vector<std::int64_t>& ids, std::size_t most,
                                            std::int64_t vocabulary, const std::function<bool(std::int64_t id)>& more) {
  const at::NoGradGuard no_grad;
  read_to(ids, ids.size());
  at::Generator unused;  // by the likeliest token
  std::vector<std::int64_t> drawn;
  while (drawn.size() < most) {
    const at::Tensor next = mixed_log_probs(next_.unbind(0), now().weights());
    const std::int64_t id = draw_token(next, {.temperature = 0}, vocabulary, unused);
    if (!more(id)) break;
    drawn.push_back(id);
    if (drawn.size() < most) read({&id, 1}, steps_.size() + 1);
  }
  return drawn;
}

/// Where all that is there can stay, or the tokens from where it can't.
std::size_t TextScorer::shared_with(std::span<const std::int64_t> ids, std::size_t first) const {
  std::size_t shared = 0;
  while (shared < std::min(ids.size(), steps_.size()) && steps_[shared].id == ids[shared]) ++shared;
  for (std::size_t at = first; at < shared; ++at) {
    if (std::isnan(steps_[at].log_prob)) shared = at;
  }
  const bool whole = shared == steps_.size();
  // What predicts the next token is known at the end alone: elsewhere the last token that is shared is read once more.
  const bool predicted = whole || (views_.size() == 1 && shared < first && shared < ids.size());
  return predicted || shared == 0 ? shared : shared - 1;
}

void TextScorer::read_to(std::span<const std::int64_t> ids, std::size_t first) {
  const at::NoGradGuard no_grad;
  go_back(shared_with(ids, first));
  while (steps_.size() < ids.size()) {
    const std::size_t at = steps_.size();
    read(ids.subspan(at, std::min(kMostRead, ids.size() - at)), first);
  }
}

void TextScorer::go_back(std::size_t length) {
  if (length == steps_.size()) return;
  again_ = steps_[length];
  steps_.erase(steps_.begin() + static_cast<std::ptrdiff_t>(length), steps_.end());
  for (const auto& view : views_) view->cache.advance(static_cast<std::int64_t>(length) - view->cache.length());
  next_ = at::Tensor();
}

void TextScorer::read(std::span<const std::int64_t> ids, std::size_t first) {
  const std::size_t begin = steps_.size(), count = ids.size();
  // Of a plain model only what predicts a token that is asked for, and the token after these.
  const bool all = views_.size() > 1;
  const std::size_t from = all ? 0 : std::min(first > begin + 1 ? first - begin - 1 : 0, count - 1);
  const at::Tensor input = at::tensor(at::ArrayRef<std::int64_t>(ids.data(), count)).unsqueeze(0);
  std::vector<at::Tensor> log_probs;
  for (const auto& view : views_) {
    const at::Tensor hidden = read_on(view->model, input, view->cache);
    const auto rows = static_cast<std::int64_t>(count - from);
    const at::Tensor logits = logits_of(view->model, hidden.narrow(1, static_cast<std::int64_t>(from), rows))[0];
    log_probs.push_back(at::log_softmax(logits.cpu().to(at::kDouble), -1));
  }
  const at::Tensor predicted = at::stack(log_probs);  // [hypotheses, count - from, vocab]
  for (std::size_t i = 0; i < count; ++i) {
    if (i > from) next_ = predicted.select(1, static_cast<std::int64_t>(i - 1 - from));
    observe(ids[i]);
  }
  next_ = predicted.select(1, predicted.size(1) - 1);
  tokens_read_ += static_cast<std::int64_t>(count);
}

/// Counts a token as read, by what `next_` says of it.
void TextScorer::observe(std::int64_t id) {
  Step step{id, kNotAsked, now()};
  if (next_.defined()) step.log_prob = -step.posterior.observe(seen(id));
  // One that was read before, with all before it.
  if (again_ && again_->id == id) step = *again_;
  again_.reset();
  next_ = at::Tensor();
  steps_.push_back(std::move(step));
}

std::vector<double> TextScorer::seen(std::int64_t id) const {
  if (id < 0 || id >= next_.size(1)) throw Error("there is no token " + std::to_string(id));
  std::vector<double> log_probs;
  for (std::int64_t h = 0; h < next_.size(0); ++h) log_probs.push_back(next_[h][id].item<double>());
  return log_probs;
}

}  // namespace mformer
