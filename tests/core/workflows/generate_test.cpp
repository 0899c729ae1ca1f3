// Text from a model: greedy and sampled, stop strings, what is shown while it comes.

#include "core/workflows/generate.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "core/model/forward.h"
#include "core/text/utf8.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_workspace.h"

namespace mformer {
namespace {

using testing::expect_error;
using testing::TinyWorkspace;

class GenerateTest : public ::testing::Test {
 protected:
  static GenerateOptions greedy(std::int64_t tokens = 40) {
    GenerateOptions options;
    options.prompt = "In the beginning";
    options.temperature = 0;
    options.max_tokens = tokens;
    return options;
  }

  Generated run(const GenerateOptions& options) {
    shown_.clear();
    return generate(version_, options, [&](const std::string& piece) { shown_ += piece; }, {});
  }

  /// What greedy decoding gives without a cache: the whole text anew for each token.
  std::vector<std::int32_t> likeliest(const std::string& prompt, std::int64_t tokens) {
    const at::NoGradGuard no_grad;
    std::vector<std::int64_t> ids;
    for (const std::int32_t id : version_.tokenizer->encode(prompt)) ids.push_back(id);
    std::vector<std::int32_t> drawn;
    for (std::int64_t i = 0; i < tokens; ++i) {
      const at::Tensor hidden = forward(version_.model, at::tensor(ids, at::kLong).unsqueeze(0)).hidden;
      ids.push_back(logits_of(version_.model, hidden)[0][-1].argmax().item<std::int64_t>());
      drawn.push_back(static_cast<std::int32_t>(ids.back()));
    }
    return drawn;
  }

  TinyWorkspace workspace_;
  LoadedVersion version_ = workspace_.load();
  std::string shown_;
};

TEST_F(GenerateTest, GreedilyTakesTheLikeliestTokenEachTime) {
  const Generated result = run(greedy(20));
  ASSERT_EQ(result.stopped_by, "length");
  EXPECT_EQ(result.tokens, 20);
  EXPECT_EQ(result.prompt_tokens, static_cast<std::int64_t>(version_.tokenizer->encode("In the beginning").size()));
  const auto expected = likeliest("In the beginning", 20);
  EXPECT_EQ(result.text, replace_invalid_utf8(version_.tokenizer->decode(expected)));
}

TEST_F(GenerateTest, ShowsThePiecesOfTheText) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    GenerateOptions options = greedy(60);
    options.temperature = 2.0;  // bytes of all kinds
    options.top_p = 1.0;
    options.seed = seed;
    const Generated result = run(options);
    EXPECT_EQ(shown_, result.text) << seed;
  }
}

TEST_F(GenerateTest, IsGreedyWhenOnlyOneTokenMayBeDrawn) {
  GenerateOptions options = greedy();
  const std::string likeliest = run(options).text;
  options.temperature = 1.5;
  options.top_k = 1;
  EXPECT_EQ(run(options).text, likeliest);
  options.top_k = 0;
  options.top_p = 1e-6;
  EXPECT_EQ(run(options).text, likeliest);
}

TEST_F(GenerateTest, ComputesInTheTypeThatIsAskedFor) {
  for (const char* dtype : {"float32", "bfloat16", "int8"}) {
    GenerateOptions options = greedy(20);
    options.dtype = dtype;
    // The likeliest first token leads by more than any rounding.
    EXPECT_EQ(run(options).text.substr(0, 1), run(greedy(20)).text.substr(0, 1)) << dtype;
  }
  convert(version_.model, at::kBFloat16);
  GenerateOptions options = greedy(20);
  const std::string stored = run(options).text;
  options.dtype = "bfloat16";
  EXPECT_EQ(run(options).text, stored);
}

TEST_F(GenerateTest, RepeatsItselfWithTheSameSeedOnly) {
  GenerateOptions options = greedy();
  options.temperature = 1.0;
  options.seed = 3;
  const std::string first = run(options).text;
  EXPECT_EQ(run(options).text, first);
  options.seed = 4;
  EXPECT_NE(run(options).text, first);
}

TEST_F(GenerateTest, StopsBeforeAStopStringEvenIfItComesInSeveralTokens) {
  const auto tokens = likeliest("In the beginning", 30);
  const std::string whole = version_.tokenizer->decode(tokens);
  // A stop string of the last letter of one token and the first of the next.
  const auto is_ascii = [&](std::size_t i) { return static_cast<unsigned char>(whole[i]) < 0x80; };
  std::size_t seam = 0, token = 0;
  do seam += version_.tokenizer->decode(std::span(tokens).subspan(token++, 1)).size();
  while (token < 29 && !(is_ascii(seam - 1) && is_ascii(seam)));
  GenerateOptions options = greedy(30);
  options.stop.emplace_back("no such text");
  options.stop.push_back(whole.substr(seam - 1, 2));
  ASSERT_NE(whole.find(options.stop[1]), std::string::npos);
  const Generated result = run(options);
  EXPECT_EQ(result.stopped_by, "stop string");
  EXPECT_EQ(result.text, replace_invalid_utf8(whole.substr(0, whole.find(options.stop[1]))));
  EXPECT_EQ(shown_, result.text) << "nothing of the stop string may be shown";
}

TEST_F(GenerateTest, StopsBeforeTheEarliestOfSeveralStopStringsInOneToken) {
  const auto tokens = likeliest("In the beginning", 30);
  const std::string whole = version_.tokenizer->decode(tokens);
  std::string two;  // a token of two letters
  for (std::size_t i = 0; i < tokens.size() && two.empty(); ++i) {
    const std::string one = version_.tokenizer->decode(std::span(tokens).subspan(i, 1));
    if (one.size() == 2 && one[0] != one[1] && whole.find(one[0]) == whole.find(one)) two = one;
  }
  ASSERT_FALSE(two.empty());
  GenerateOptions options = greedy(30);
  options.stop.push_back(two.substr(1));
  options.stop.push_back(two.substr(0, 1));
  const std::size_t earliest = std::min(whole.find(two[0]), whole.find(two[1]));
  EXPECT_EQ(run(options).text, replace_invalid_utf8(whole.substr(0, earliest)));
}

TEST_F(GenerateTest, ShowsWhatWasHeldBackForAStopStringThatDidNotCome) {
  GenerateOptions options = greedy(30);
  const std::string whole = run(options).text;
  options.stop.push_back(whole.substr(whole.size() - 5) + "and more that never comes");
  const Generated result = run(options);
  EXPECT_EQ(result.stopped_by, "length");
  EXPECT_EQ(result.text, whole);
  EXPECT_EQ(shown_, whole);
}

TEST_F(GenerateTest, StopsAtTheEndOfTheText) {
  version_.model.lm_head = at::zeros_like(version_.model.lm_head);
  version_.model.ln_f.weight = at::zeros_like(version_.model.ln_f.weight);
  version_.model.ln_f.bias = at::ones_like(version_.model.ln_f.bias);
  version_.model.lm_head[version_.tokenizer->end_of_text()] = 1.0;
  const Generated result = run(greedy());
  EXPECT_EQ(result.stopped_by, "end of text");
  EXPECT_EQ(result.tokens, 0);
  EXPECT_EQ(result.text, "");
}

TEST_F(GenerateTest, BeginsADocumentForAnEmptyPromptAndStopsWhenAsked) {
  GenerateOptions options = greedy(5);
  options.prompt = "";
  EXPECT_EQ(run(options).prompt_tokens, 0);
  const Generated result = generate(version_, options, {}, [] { return true; });
  EXPECT_EQ(result.stopped_by, "interrupt");
  EXPECT_EQ(result.tokens, 1);
}

TEST_F(GenerateTest, RefusesOptionsOutOfRangeAndModelsWithoutATokenizer) {
  const auto refuse = [&](const std::string& option, const std::function<void(GenerateOptions&)>& change) {
    GenerateOptions options = greedy();
    change(options);
    EXPECT_FALSE(expect_error<UsageError>([&] { run(options); }, option).empty());
  };
  refuse("--max-tokens", [](GenerateOptions& o) { o.max_tokens = 0; });
  refuse("--temperature", [](GenerateOptions& o) { o.temperature = -1; });
  refuse("--temperature", [](GenerateOptions& o) { o.temperature = std::numeric_limits<double>::quiet_NaN(); });
  refuse("--top-k", [](GenerateOptions& o) { o.top_k = -1; });
  refuse("--top-p", [](GenerateOptions& o) { o.top_p = 0; });
  refuse("--stop", [](GenerateOptions& o) { o.stop.emplace_back(); });
  refuse("--dtype", [](GenerateOptions& o) { o.dtype = "float16"; });
  version_.tokenizer.reset();
  EXPECT_FALSE(expect_error<Error>([&] { run(greedy()); }, "no tokenizer").empty());
}

}  // namespace
}  // namespace mformer
