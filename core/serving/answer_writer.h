#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/decoding/streamed_text.h"
#include "core/serving/text_request.h"
#include "core/text/tokenizer.h"

namespace mformer {

/// How often each module of a bank was chosen; a token chooses k of them.
struct ChosenModules {
  std::vector<std::int64_t> att, mlp;  ///< Empty where the bank has no router.
};

/// What came since the last piece of an answer.
struct AnswerPiece {
  struct Token {
    ReadToken token;
    std::string bytes;            ///< What it stands for; half a character, perhaps.
    std::vector<double> weights;  ///< Of the hypotheses when it was drawn; empty for tokens of the prompt.
  };
  std::string text;                   ///< Whole characters.
  std::vector<Token> prompt, tokens;  ///< Of the prompt where asked for; drawn.
  std::optional<Token> ended_by;      ///< A token that is no part of the text, where asked for.
  std::optional<TextEnd> end;         ///< In the last piece alone.
  bool stopped = false;               ///< By a stop string.
  std::string problem;                ///< Where it failed.
  std::vector<double> weights;        ///< Of the hypotheses at the end.
};

/// Between the scheduler, which has a token at a time, and an asker in another thread, who wants text.
class AnswerWriter : public TextObserver {
 public:
  /// `continues`: the answer goes on a text that has words already.
  AnswerWriter(Tokenizer tokenizer, std::vector<std::string> stops, bool continues);

  // The asker's side.

  /// Waits for something that is new; nothing where there was none for so long.
  std::optional<AnswerPiece> next(std::chrono::milliseconds wait);
  /// Nobody waits for the answer any more.
  void leave() { wanted_ = false; }
  /// By hypothesis, [layers]: what routers chose for all tokens so far.
  std::map<std::size_t, std::vector<ChosenModules>> chosen() const;

  // The scheduler's side.

  bool wanted() const override { return wanted_; }
  void prompt(const std::vector<ReadToken>& tokens) override;
  bool token(const ReadToken& token, const std::vector<double>& weights) override;
  void ended_by(const ReadToken& token) override;
  void routing(std::size_t hypothesis, const std::vector<BlockTrace>& layers) override;
  void end(TextEnd reason, const std::vector<double>& weights, const std::string& problem) override;

 private:
  std::string bytes_of(std::int64_t id, bool continues) const;

  const Tokenizer tokenizer_;
  const std::vector<std::string> stops_;
  const std::function<void(const std::string&)> on_text_;
  bool continues_;
  StreamedText text_;
  std::atomic<bool> wanted_{true};
  mutable std::mutex mutex_;  ///< Of all below.
  std::condition_variable changed_;
  AnswerPiece piece_;
  bool fresh_ = false;
  std::map<std::size_t, std::vector<ChosenModules>> chosen_;
};

}  // namespace mformer
