#include "core/serving/answer_writer.h"

#include <utility>

namespace mformer {
namespace {

void count_chosen(const RouterDecision& decision, std::vector<std::int64_t>& counts) {
  if (!decision.indices.defined()) return;
  const at::Tensor indices = decision.indices.contiguous();
  const auto* chosen = indices.const_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < indices.numel(); ++i) {
    const auto module = static_cast<std::size_t>(chosen[i]);
    if (counts.size() <= module) counts.resize(module + 1);
    ++counts[module];
  }
}

}  // namespace

AnswerWriter::AnswerWriter(Tokenizer tokenizer, std::vector<std::string> stops, bool continues)
    : tokenizer_(std::move(tokenizer)),
      stops_(std::move(stops)),
      on_text_([this](const std::string& text) { piece_.text += text; }),
      continues_(continues),
      text_(stops_, on_text_) {}

std::optional<AnswerPiece> AnswerWriter::next(std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, wait, [&] { return fresh_; })) return std::nullopt;
  fresh_ = false;
  return std::exchange(piece_, AnswerPiece());
}

std::map<std::size_t, std::vector<ChosenModules>> AnswerWriter::chosen() const {
  const std::lock_guard lock(mutex_);
  return chosen_;
}

std::string AnswerWriter::bytes_of(std::int64_t id, bool continues) const {
  const auto token = static_cast<std::int32_t>(id);
  return tokenizer_.decode(std::span(&token, 1), {.continues = continues});
}

void AnswerWriter::prompt(const std::vector<ReadToken>& tokens) {
  const std::lock_guard lock(mutex_);
  for (const ReadToken& one : tokens) {
    piece_.prompt.push_back({one, bytes_of(one.id, one.log_prob.has_value()), {}});
  }
}

bool AnswerWriter::token(const ReadToken& token, const std::vector<double>& weights) {
  const std::lock_guard lock(mutex_);
  const std::string bytes = bytes_of(token.id, std::exchange(continues_, true));
  piece_.tokens.push_back({token, bytes, weights});
  const bool goes_on = text_.append(bytes);
  piece_.stopped = !goes_on;
  fresh_ = true;
  changed_.notify_all();
  return goes_on;
}

void AnswerWriter::ended_by(const ReadToken& token) {
  const std::lock_guard lock(mutex_);
  piece_.ended_by = AnswerPiece::Token{token, "", {}};
}

void AnswerWriter::routing(std::size_t hypothesis, const std::vector<BlockTrace>& layers) {
  const std::lock_guard lock(mutex_);
  std::vector<ChosenModules>& chosen = chosen_[hypothesis];
  chosen.resize(layers.size());
  for (std::size_t l = 0; l < layers.size(); ++l) {
    count_chosen(layers[l].att.decision, chosen[l].att);
    count_chosen(layers[l].mlp.decision, chosen[l].mlp);
  }
}

void AnswerWriter::end(TextEnd reason, const std::vector<double>& weights, const std::string& problem) {
  const std::lock_guard lock(mutex_);
  text_.finish();
  piece_.end = reason, piece_.weights = weights, piece_.problem = problem;
  fresh_ = true;
  changed_.notify_all();
}

}  // namespace mformer
