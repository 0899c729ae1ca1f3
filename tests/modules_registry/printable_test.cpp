#include "modules_registry/printable.h"

#include <gmock/gmock.h>

#include "modules_registry/shell_word.h"
#include "registry_fixture.h"

namespace mformer::testing {
namespace {

using ::testing::HasSubstr;

TEST(PrintableTest, WhatDoesNotShowOrTurnsTheTextIsWrittenOut) {
  EXPECT_EQ(printable("plain, Größe, 東京"), "plain, Größe, 東京");
  EXPECT_EQ(printable("a\x1b[31mb"), "a\\x1b[31mb");
  EXPECT_EQ(printable("a\u009Bb"), "a\\x9bb") << "one character that begins a terminal's command";
  EXPECT_EQ(printable("a\u202Eb"), "a\\u202eb");
  EXPECT_EQ(printable("a\u061Cb\u200Bc\uFEFF"), "a\\u061cb\\u200bc\\ufeff");
  EXPECT_EQ(printable("caf\xE9"), "caf\\xe9");
  EXPECT_TRUE(is_printable("क्\u200Dष")) << "a joiner is a part of the script";
  EXPECT_FALSE(is_printable("a\xC2"));
}

TEST(PrintableTest, NamesMustShow) {
  for (const char* bad : {"a\u009Bb", "a\u202Eb", "a\u00A0b", "caf\xE9", "a\x1b[31m", " a", "a ", "\u3000"}) {
    EXPECT_THAT(error_of([&] { require_valid_name("task", bad); }), HasSubstr("can't be the name of a task")) << bad;
  }
  EXPECT_NO_THROW(require_valid_name("task", "my data"));
  EXPECT_NO_THROW(require_valid_name("task", "corpus-1.5"));
  EXPECT_THROW(require_valid_name("model", "my model"), UsageError);
}

TEST(PrintableTest, NamesFromBeforeTheyHadToShowCanBeRead) {
  EXPECT_TRUE(was_valid_name("eng\u009blish"));
  EXPECT_TRUE(was_valid_name("caf\xE9"));
  EXPECT_TRUE(was_valid_name("my data"));
  for (const char* never : {"", "a\x1b", "a@1", "-a", "a,b"}) EXPECT_FALSE(was_valid_name(never)) << never;
}

TEST(ShellWordTest, AWordIsReadBackByTheShellAsItIs) {
  for (const char* word :
       {"plain/path-1.5", "my data", "it's", "", "caf\xE9", "a\x1b[31m'\\1", "Größe", "$(ls)", "~"}) {
    const std::string command = "printf %s " + shell_word(word);
    FILE* pipe = ::popen(("bash -c " + shell_word(command)).c_str(), "r");
    ASSERT_NE(pipe, nullptr);
    std::string read(100, '\0');
    read.resize(::fread(read.data(), 1, read.size(), pipe));
    ::pclose(pipe);
    EXPECT_EQ(read, word) << command;
  }
}

}  // namespace
}  // namespace mformer::testing
