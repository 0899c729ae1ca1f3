#include "core/text/jinja_spaces.h"

#include <gtest/gtest.h>

namespace mformer {
namespace {

// What Jinja 3.1 makes of them with trim_blocks and lstrip_blocks, in the form that keeps all spaces.
TEST(JinjaSpacesTest, BlocksTakeTheirLineAndSignsTheSpacesBesideThem) {
  EXPECT_EQ(with_spaces_done("a\n  {% set x = 1 %}\n  b\n"), "a\n{% set x = 1 %}  b");
  EXPECT_EQ(with_spaces_done("a {% set x = 1 %} \nb"), "a {% set x = 1 %} \nb");
  EXPECT_EQ(with_spaces_done("a \n {%- set x = 1 -%} \n b"), "a{% set x = 1 %}b");
  EXPECT_EQ(with_spaces_done("a\n  {%+ set x = 1 +%}\n  b"), "a\n  {% set x = 1 %}\n  b");
  EXPECT_EQ(with_spaces_done("  {% set x = 1 %}\n  {% set y = 1 %}\n\n"), "{% set x = 1 %}{% set y = 1 %}");
}

TEST(JinjaSpacesTest, WhatIsWrittenKeepsItsIndentation) {
  EXPECT_EQ(with_spaces_done("a\n  {{ x }}\n  b"), "a\n  {{ x }}\n  b");
  EXPECT_EQ(with_spaces_done("a\n  {{- x -}}\n  b"), "a{{ x }}b");
  EXPECT_EQ(with_spaces_done("a {{-1}} b"), "a{{1}} b");
}

TEST(JinjaSpacesTest, CommentsGo) {
  EXPECT_EQ(with_spaces_done("a\n  {# {{ x }} {% #}\nb{#- c -#} d"), "a\nbd");
}

TEST(JinjaSpacesTest, BracketsInTextsAndInOtherBracketsEndNoTag) {
  EXPECT_EQ(with_spaces_done("{{ '}}' ~ \"\\\"}}\" -}} a"), "{{ '}}' ~ \"\\\"}}\" }}a");
  EXPECT_EQ(with_spaces_done("{{ {'a': {'b': 1}}['a'] -}} a"), "{{ {'a': {'b': 1}}['a'] }}a");
  EXPECT_EQ(with_spaces_done("{% set x = '%}' -%} a"), "{% set x = '%}' %}a");
}

TEST(JinjaSpacesTest, ABracketOfTheTextIsNotReadWithOneOfATag) {
  EXPECT_EQ(with_spaces_done("a{\n  {{- x }}"), "a{{ '{' }}{{ x }}");
  EXPECT_EQ(with_spaces_done("{\n{#- c #}% x"), "{{ '{' }}% x");
}

TEST(JinjaSpacesTest, WhatIsNoTemplateComesBack) {
  for (const char* text : {"", "{", "{{", "{% if", "a {# b", "}} %}", "{{ 'a }}"})
    EXPECT_EQ(with_spaces_done(text), text);
}

}  // namespace
}  // namespace mformer
