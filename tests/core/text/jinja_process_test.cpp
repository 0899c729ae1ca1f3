#include "core/text/jinja_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "modules_registry/error.h"
#include "tests/core/text/chat_tokenizer.h"

namespace mformer {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string render(const std::string& text, const std::string& context = "{}") {
  return JinjaProcess(text, "the template").render(context);
}

void expect_refused(const std::string& text, const std::string& why) {
  const std::string refusal = refusal_by([&] { render(text); });
  EXPECT_THAT(refusal, HasSubstr("the template " + why)) << text.substr(0, 80);
  EXPECT_FALSE(refusal.ends_with('\n')) << "there is no hint";
}

std::string times(int count, const std::string& text) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

TEST(JinjaProcessTest, RendersWithTheSpacesOfTransformers) {
  EXPECT_EQ(render("{% for x in list %}\n  {%- if x > 1 %}\n  {{ x }}\n  {%- endif %}\n{% endfor %}\nend\n",
                   R"({"list": [1, 2, 3]})"),
            "  2  3end");
}

TEST(JinjaProcessTest, NothingThatNeverEndsHangs) {
  // Five seconds of computing: no other test waits for them.
  expect_refused(
      "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}{% for d in range(1000) %}"
      "{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
      "did not come to an end in 5 seconds");
}

TEST(JinjaProcessTest, NothingThatWritesWithoutEndFillsTheMemory) {
  expect_refused("{% for i in range(10 ** 12) %}x{% endfor %}", "needs more than 512 MiB of memory");
  expect_refused("{% for i in range(1000000000000) %}x{% endfor %}", "needs more than 512 MiB of memory");
  expect_refused(
      "{% set ns = namespace(x='0123456789') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}"
      "{{ ns.x }}",
      "needs more than 512 MiB of memory");
}

TEST(JinjaProcessTest, NothingThatCallsItselfEndsTheProgram) {
  expect_refused("{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}", "goes too deep");
  expect_refused("{% for i in [[1], [2]] recursive %}{{ loop(i) }}{% endfor %}", "goes too deep");
  expect_refused("{{ 1 % 0 }}", "can't be used: it divides by zero");
}

TEST(JinjaProcessTest, WhatIsNoTemplateGivesASentenceOfOneLine) {
  for (const char* text :
       {"{{", "{% for %}", "{% endif %}", "{{ 1 + }}", "{% unknown %}", "{% if x %}", "{{ nothing() }}",
        "{{ 'a' * 'b' }}", "{{ [1][7] }}", "{{ 1 / 0 }}", "{{ {}.x.y.z }}", "{% include 'file' %}"}) {
    const std::string refusal = refusal_by([&] { render(text); });
    EXPECT_THAT(refusal, HasSubstr("the template can't be used: ")) << text;
    const std::string sentence = refusal.substr(0, refusal.rfind('\n'));
    EXPECT_THAT(sentence, Not(HasSubstr("\n"))) << text;
    EXPECT_LT(sentence.size(), 500U) << text;
  }
  expect_refused("{{ raise_exception('" + times(5000, "long ") + "') }}", "can't be used: long");
}

TEST(JinjaProcessTest, LongCommentsSpacesAndTextsAreRead) {
  const std::string comment = "{#" + times(1 << 17, "x\n") + "#}";
  EXPECT_EQ(render(comment + times(1 << 18, " ") + "{%- if true %}" + times(1 << 18, "y") + "{% endif %}"),
            times(1 << 18, "y"));
}

TEST(JinjaProcessTest, ATemplateThatFailedIsStartedAnew) {
  const JinjaProcess process("{% macro f(n) %}{{ f(n) }}{% endmacro %}{% if deep %}{{ f(1) }}{% endif %}ok", "it");
  EXPECT_EQ(process.render("{}"), "ok");
  EXPECT_THAT(refusal_by([&] { process.render(R"({"deep": true})"); }), HasSubstr("goes too deep"));
  EXPECT_EQ(process.render("{}"), "ok");
}

TEST(JinjaProcessTest, ReadsNoFilesAndKnowsNothingOfTheMachine) {
  EXPECT_EQ(render("{{ self }}{{ environ }}{{ __class__ }}{{ config }}"), "");
}

}  // namespace
}  // namespace mformer
