#include "core/serving/running_text.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/topk.h>

#include <algorithm>
#include <limits>

#include "core/decoding/mixed_log_probs.h"

namespace mformer {
namespace {

/// Members that a request has: one hypothesis that it names, or all.
std::size_t members_of(const TextRequest& request, std::size_t hypotheses) {
  return request.hypothesis ? 1 : hypotheses;
}

at::Tensor as_log_probs(const at::Tensor& logits) {
  return at::log_softmax(logits.to(at::kDouble), -1);
}

}  // namespace

std::int64_t positions_of(const TextRequest& request) {
  constexpr std::int64_t step = 64;
  const std::int64_t tokens = static_cast<std::int64_t>(request.ids.size()) + request.max_tokens;
  return (tokens + step - 1) / step * step;
}

RunningText::RunningText(TextRequest request, std::shared_ptr<TextObserver> observer, std::size_t hypotheses,
                         std::int64_t vocabulary)
    : request_(std::move(request)),
      observer_(std::move(observer)),
      hypotheses_(hypotheses),
      vocabulary_(vocabulary),
      ids_(request_.ids),
      prompt_(static_cast<std::int64_t>(ids_.size())),
      posterior_(members_of(request_, hypotheses) - 1, options_),
      evidence_(members_of(request_, hypotheses) - 1, without_switching(options_)),
      generator_(at::detail::createCPUGenerator(request_.seed)) {
  for (std::size_t m = 0; m < members_of(request_, hypotheses); ++m) {
    members_.push_back({request_.hypothesis.value_or(m), std::make_unique<KeyValueCache>(positions_of(request_)),
                        at::Tensor(), at::Tensor()});
  }
}

std::span<const std::int64_t> RunningText::part() const {
  const auto all = std::span(ids_);
  if (!reads_prompt()) return all.subspan(static_cast<std::size_t>(read_));
  const std::int64_t end = std::min(prompt_, (read_ / kPromptPiece + 1) * kPromptPiece);
  return all.subspan(static_cast<std::size_t>(read_), static_cast<std::size_t>(end - read_));
}

KeyValueCache* RunningText::cache(std::size_t hypothesis) const {
  for (const Member& member : members_) {
    if (member.hypothesis == hypothesis) return member.cache.get();
  }
  return nullptr;
}

std::int64_t RunningText::running() const {
  return std::count_if(members_.begin(), members_.end(), [](const Member& one) { return one.cache != nullptr; });
}

/// Whether every token's probability is wanted: for the posterior, or because it was asked for.
bool RunningText::followed() const {
  return running() > 1 || (request_.prompt_log_probs && reads_prompt());
}

std::int64_t RunningText::asked_rows() const {
  const auto tokens = static_cast<std::int64_t>(part().size());
  if (followed()) return tokens;
  return read_ + tokens >= prompt_ && request_.max_tokens > 0 ? 1 : 0;
}

void RunningText::take(std::size_t hypothesis, const at::Tensor& logits) {
  for (Member& member : members_) {
    if (member.hypothesis == hypothesis) member.said = logits;
  }
}

void RunningText::draw() {
  const auto tokens = static_cast<std::int64_t>(part().size());
  const bool asked = asked_rows() > 0;
  at::Tensor next;  // of the next token: logits, or log-probabilities, which serve as such
  if (followed()) {
    next = follow_part();
  } else if (asked) {
    for (const Member& member : members_) {
      if (member.cache != nullptr) next = member.said[0];
    }
  }
  for (Member& member : members_) member.said.reset();
  read_ += tokens;
  if (read_ < static_cast<std::int64_t>(ids_.size()) || request_.max_tokens == 0) return;
  const std::int64_t id = draw_token(next, request_.sampling, vocabulary_, generator_);
  drawn_ = request_.log_probs ? said_of(id, as_log_probs(next)) : ReadToken{id, {}, {}};
  drawn_with_ = weights();
  ids_.push_back(id);
}

/// Moves the posterior along the part; what is predicted after it, log-probabilities.
at::Tensor RunningText::follow_part() {
  std::vector<at::Tensor> log_probs(members_.size());
  for (std::size_t m = 0; m < members_.size(); ++m) {
    if (members_[m].cache != nullptr) log_probs[m] = as_log_probs(members_[m].said);
  }
  const std::size_t tokens = part().size();
  for (std::size_t t = 0; t < tokens; ++t) follow(log_probs, t, read_ > 0 || t > 0);
  std::vector<at::Tensor> next(members_.size());
  for (std::size_t m = 0; m < members_.size(); ++m) {
    if (!log_probs[m].defined()) continue;
    // A copy of the row alone: the rows of a whole piece would be kept with it.
    next[m] = members_[m].next = log_probs[m][static_cast<std::int64_t>(tokens) - 1].clone();
  }
  give_up();
  return mixed(next);
}

/// Token number `at` of the part was seen. What predicted it stands before it in `log_probs`, or is what was said last.
void RunningText::follow(const std::vector<at::Tensor>& log_probs, std::size_t at, bool has_before) {
  const std::int64_t id = part()[at];
  const bool told = request_.prompt_log_probs && reads_prompt();
  if (!has_before) {
    if (told) heard_.push_back({id, std::nullopt, {}});
    return;  // nothing predicted the first token
  }
  std::vector<at::Tensor> before(members_.size());
  std::vector<double> seen(members_.size(), -std::numeric_limits<double>::infinity());
  for (std::size_t m = 0; m < members_.size(); ++m) {
    if (!log_probs[m].defined()) continue;
    before[m] = at == 0 ? members_[m].next : log_probs[m][static_cast<std::int64_t>(at) - 1];
    seen[m] = before[m][id].item<double>();
  }
  if (told) heard_.push_back(said_of(id, mixed(before)));
  posterior_.observe(seen);
  evidence_.observe(seen);
}

/// Of those that still run; what the others said may be among the rows.
at::Tensor RunningText::mixed(std::vector<at::Tensor> rows) const {
  for (std::size_t m = 0; m < rows.size(); ++m) {
    if (members_[m].cache == nullptr) rows[m].reset();
    if (rows[m].defined() && running() == 1) return rows[m];
  }
  return mixed_log_probs(rows, posterior_.weights());
}

ReadToken RunningText::said_of(std::int64_t id, const at::Tensor& log_probs) const {
  ReadToken token{id, log_probs[id].item<double>(), {}};
  const std::int64_t known = std::min(vocabulary_, log_probs.size(0));
  const std::int64_t most = std::min(request_.likeliest, known);
  if (most == 0) return token;
  const auto [values, ids] = at::topk(log_probs.narrow(0, 0, known), most);
  for (std::int64_t i = 0; i < most; ++i) {
    token.likeliest.push_back({ids[i].item<std::int64_t>(), values[i].item<double>()});
  }
  return token;
}

/// As MixtureDecoder does, but where the prompt's probabilities are asked for, which are those of all hypotheses.
void RunningText::give_up() {
  if (request_.prompt_log_probs || members_.size() == 1) return;
  for (std::size_t m = 0; m < members_.size(); ++m) {
    if (evidence_.weights()[m] >= options_.negligible) continue;
    members_[m].cache.reset();
    members_[m].next.reset();
  }
}

std::vector<double> RunningText::weights() const {
  std::vector<double> weights(hypotheses_, 0.0);
  for (std::size_t m = 0; m < members_.size(); ++m) {
    if (members_[m].cache != nullptr) weights[members_[m].hypothesis] = posterior_.weights()[m];
  }
  return weights;
}

std::optional<TextEnd> RunningText::tell() {
  if (!heard_.empty()) observer_->prompt(heard_);
  heard_.clear();
  if (!drawn_) {
    const bool done = !reads_prompt() && request_.max_tokens == 0;
    return done ? std::optional(TextEnd::length) : std::nullopt;
  }
  const ReadToken token = *std::exchange(drawn_, std::nullopt);
  const bool turn = token.id == request_.turn_end;
  if (turn || std::find(request_.ends.begin(), request_.ends.end(), token.id) != request_.ends.end()) {
    if (request_.log_probs) observer_->ended_by(token);
    return turn ? TextEnd::end_of_turn : TextEnd::end_of_text;
  }
  if (!observer_->token(token, drawn_with_)) return TextEnd::observer;
  const std::int64_t drawn = static_cast<std::int64_t>(ids_.size()) - prompt_;
  return drawn >= request_.max_tokens ? std::optional(TextEnd::length) : std::nullopt;
}

}  // namespace mformer
