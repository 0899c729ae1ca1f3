#include "cli/errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <memory>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "cli/brackets.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/interrupt.h"
#include "cli/made.h"
#include "cli/terminal/report.h"
#include "cli/validators.h"
#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

struct Outcome {
  int code;
  std::string out;
  std::string err;
};

// The program with commands like the real ones; `extend` runs `body`.
Outcome run_program(
    std::vector<const char*> arguments, std::function<void()> body = [] {}) {
  arguments.insert(arguments.begin(), "mformer");
  CLI::App app("Modular language models", "mformer");
  use_our_help(app);
  app.set_version_flag("--version", "mformer 1.2.3");
  GlobalOptions global;
  add_global_options(app, global);
  std::string text;
  int steps = 0;
  double keep = 1;
  CLI::App* extend = add_command(app, {"extend", groups::learning, "Add modules", "mformer extend --data new/"});
  extend->add_option("--data", text, "Directory")->required();
  extend->add_option("--steps", steps, "Steps");
  extend->callback(std::move(body));
  CLI::App* prune = add_command(app, {"prune", groups::learning, "Remove modules", "mformer prune --keep 0.3"});
  prune->add_option("--keep", keep, "Fraction of modules")->check(fraction());
  CLI::App* tokenizer = add_command_group(app, {"tokenizer", groups::data, "Tokenizers", "mformer tokenizer encode"});
  add_command(*tokenizer, {"encode", "", "Text to ids", "mformer tokenizer encode"});
  add_command(*tokenizer, {"decode", "", "Ids to text", "mformer tokenizer decode"});
  std::ostringstream out;
  std::ostringstream err;
  const int code = run_guarded(app, static_cast<int>(arguments.size()), arguments.data(), out, err);
  return {code, out.str(), err.str()};
}

template <typename Thrown>
Outcome run_throwing(Thrown thrown) {
  return run_program({"extend", "--data", "d"}, [thrown] { throw thrown; });
}

void expect_usage_error(const std::vector<const char*>& arguments, const std::string& message) {
  const Outcome outcome = run_program(arguments);
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, message);
}

TEST(ErrorsTest, AHintNamesTheWorkspaceThatTheCommandWasGiven) {
  const auto hint = [](std::vector<const char*> arguments, const std::string& text) {
    const Outcome result =
        run_program(std::move(arguments), [&text]() -> void { throw mformer::Error("it failed", text); });
    return result.err.substr(result.err.find("hint: "));
  };
  EXPECT_EQ(
      hint({"--workspace", "my data", "extend", "--data", "x"}, "see mformer prune (or mformer extend --data x)."),
      "hint: see mformer --workspace 'my data' prune (or mformer --workspace 'my data' extend --data x).\n");
  EXPECT_EQ(hint({"extend", "--data", "x", "--workspace=w"}, "mformer prune"), "hint: mformer --workspace w prune\n");
  EXPECT_EQ(hint({"extend", "--data", "x"}, "mformer prune"), "hint: mformer prune\n");
  const char* prose = "only mformer reads it; bin/mformer prune; mformer; mformer prunes; mformer --workspace d prune";
  EXPECT_EQ(hint({"--workspace", "w", "extend", "--data", "x"}, prose), "hint: " + std::string(prose) + '\n');
  ::setenv("MFORMER_WORKSPACE", "stays", 1);
  EXPECT_EQ(hint({"extend", "--data", "x"}, "mformer prune"), "hint: mformer prune\n");
  EXPECT_EQ(hint({"--workspace", "w", "extend", "--data", "x"}, "mformer prune"),
            "hint: mformer --workspace w prune\n");
  ::unsetenv("MFORMER_WORKSPACE");
}

TEST(ErrorsTest, SuccessIsZeroAndSilent) {
  const Outcome outcome = run_program({"extend", "--data", "d"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out + outcome.err, "");
}

TEST(ErrorsTest, AMisspeltCommandNamesItsNeighbours) {
  expect_usage_error({"extnd", "--data", "d"}, "error: unknown command 'extnd'\nhint: did you mean 'extend'?\n");
}

TEST(ErrorsTest, AMisspeltNestedCommandNamesItsNeighbours) {
  expect_usage_error({"tokenizer", "encoed"},
                     "error: unknown command 'tokenizer encoed'\nhint: did you mean 'encode'?\n");
}

TEST(ErrorsTest, AnUnknownCommandFarFromAllOthersPointsToTheHelp) {
  expect_usage_error({"xylophone"}, "error: unknown command 'xylophone'\nhint: mformer --help lists the commands\n");
}

TEST(ErrorsTest, AMisspeltOptionNamesItsNeighbours) {
  expect_usage_error({"extend", "--data", "d", "--stpes", "3"},
                     "error: unknown option '--stpes' of 'mformer extend'\nhint: did you mean '--steps'?\n");
}

TEST(ErrorsTest, AMisspeltOptionIsBlamedBeforeTheOneItLeftMissing) {
  expect_usage_error({"extend", "--dta=d"},
                     "error: unknown option '--dta' of 'mformer extend'\nhint: did you mean '--data'?\n");
}

TEST(ErrorsTest, AMisspeltGlobalOptionIsFoundToo) {
  expect_usage_error({"prune", "--sead", "3"},
                     "error: unknown option '--sead' of 'mformer prune'\nhint: did you mean '--seed'?\n");
}

TEST(ErrorsTest, AMissingCommandPointsToTheHelp) {
  expect_usage_error({}, "error: no command is given\nhint: mformer --help lists the commands\n");
  expect_usage_error({"tokenizer"},
                     "error: 'mformer tokenizer' needs a command\nhint: mformer tokenizer --help lists the commands\n");
}

TEST(ErrorsTest, AMissingOptionIsNamed) {
  expect_usage_error({"extend"}, "error: 'mformer extend' needs --data\nhint: see mformer extend --help\n");
}

TEST(ErrorsTest, AMissingValueIsNamed) {
  expect_usage_error({"extend", "--data"}, "error: --data needs a value\nhint: see mformer extend --help\n");
}

TEST(ErrorsTest, AnOptionGivenTwiceIsNamed) {
  expect_usage_error({"extend", "--data", "a", "--data", "b"},
                     "error: --data is given 2 times, but takes one value\nhint: keep one of them\n");
}

TEST(ErrorsTest, AnArgumentTooManyIsNamed) {
  expect_usage_error({"extend", "--data", "d", "extra"},
                     "error: 'mformer extend' does not take the argument 'extra'\nhint: see mformer extend --help\n");
}

TEST(ErrorsTest, AValueOfTheWrongKindIsNamed) {
  expect_usage_error({"extend", "--data", "d", "--steps", "many"},
                     "error: --steps: 'many' is not a whole number\nhint: see mformer extend --help\n");
}

TEST(ErrorsTest, AValueOutOfRangeBringsTheValidatorsHint) {
  expect_usage_error({"prune", "--keep", "1.5"},
                     "error: --keep: '1.5' is not a fraction (more than 0, at most 1)\nhint: for 30 % write 0.3\n");
  expect_usage_error({"prune", "--keep", "nan"},
                     "error: --keep: 'nan' is not a fraction (more than 0, at most 1)\nhint: for 30 % write 0.3\n");
}

TEST(ErrorsTest, ArgumentsCannotControlTheTerminal) {
  EXPECT_THAT(run_program({"\x1b[2J"}).err, Not(HasSubstr("\x1b")));
}

TEST(ErrorsTest, HelpGoesToStdoutWithZero) {
  const Outcome outcome = run_program({"--help"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(outcome.out, HasSubstr("Continual learning:\n  extend"));
  EXPECT_THAT(outcome.out, HasSubstr("MFORMER_WORKSPACE"));
}

TEST(ErrorsTest, HelpOfACommandShowsItsExample) {
  const Outcome outcome = run_program({"extend", "--help"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("--data"));
  EXPECT_THAT(outcome.out, HasSubstr("Example: mformer extend --data new/"));
}

TEST(ErrorsTest, HelpOfACommandGroupListsItsCommands) {
  const Outcome outcome = run_program({"tokenizer", "--help"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("Usage: mformer tokenizer [OPTIONS] COMMAND ..."));
  EXPECT_THAT(outcome.out, HasSubstr("Commands:\n  encode "));
}

TEST(ErrorsTest, HelpIsAWordToo) {
  const std::string all = run_program({"--help"}).out, encode = run_program({"tokenizer", "encode", "--help"}).out;
  for (const std::vector<const char*>& words :
       std::vector<std::vector<const char*>>{{"help"}, {"help", "help"}, {"help", "version"}, {"help", "--help"}}) {
    EXPECT_EQ(run_program(words).out, all) << words.back();
  }
  EXPECT_EQ(run_program({"help", "tokenizer", "encode"}).out, encode);
  EXPECT_EQ(run_program({"tokenizer", "help", "encode"}).out, encode);
  EXPECT_EQ(run_program({"tokenizer", "help"}).out, run_program({"tokenizer", "--help"}).out);
  EXPECT_EQ(run_program({"help", "extend", "--help-all"}).out, run_program({"extend", "--help-all"}).out);
  expect_usage_error({"help", "extnd"}, "error: unknown command 'extnd'\nhint: did you mean 'extend'?\n");
}

TEST(ErrorsTest, HelpOfAnUnknownCommandIsAnError) {
  expect_usage_error({"extnd", "--help"}, "error: unknown command 'extnd'\nhint: did you mean 'extend'?\n");
}

TEST(ErrorsTest, VersionGoesToStdoutWithZero) {
  const Outcome outcome = run_program({"--version"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out, "mformer 1.2.3\n");
}

TEST(ErrorsTest, OurErrorIsOneWithItsHint) {
  const Outcome outcome = run_throwing(Error("task 'qa' has no statistics", "record them first"));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.err, "error: task 'qa' has no statistics\nhint: record them first\n");
}

TEST(ErrorsTest, AnEmptyHintIsNotPrinted) {
  EXPECT_EQ(run_throwing(Error("it broke")).err, "error: it broke\n");
}

TEST(ErrorsTest, AUsageErrorIsTwo) {
  const Outcome outcome = run_throwing(UsageError("no model 'bse'", "did you mean 'base'?"));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.err, "error: no model 'bse'\nhint: did you mean 'base'?\n");
}

TEST(ErrorsTest, AGracefulInterruptionHasItsOwnCode) {
  const Outcome outcome = run_throwing(Interrupted("step 120 is saved", "resume with: mformer train"));
  EXPECT_EQ(outcome.code, 130);
  EXPECT_EQ(outcome.err, "interrupted: step 120 is saved\nhint: resume with: mformer train\n");
}

TEST(ErrorsTest, MemoryRunningOutIsASentence) {
  const Outcome outcome = run_throwing(std::bad_alloc());
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, StartsWith("error: the memory of this machine is not enough\nhint: "));
}

TEST(ErrorsTest, AForeignExceptionIsAnInternalErrorOfWhichTheFirstLineIsShown) {
  const Outcome outcome = run_throwing(std::runtime_error("shape mismatch\nframe #0: libc10.so\nframe #1: …"));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.err,
            "error: internal error: shape mismatch\n"
            "hint: this is a fault of mformer: please report the command and what it was given\n");
}

TEST(ErrorsTest, ALackOfMemoryIsCalledSoWhoeverFindsIt) {
  const std::string expected = run_throwing(std::bad_alloc()).err;
  EXPECT_EQ(run_throwing(std::runtime_error("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't "
                                            "allocate memory: you tried to allocate 9 bytes."))
                .err,
            expected);
  EXPECT_THAT(run_throwing(std::runtime_error("CUDA out of memory. Tried to allocate 2 GiB")).err,
              StartsWith("error: the memory of the device is not enough\n"));
}

TEST(ErrorsTest, WhatTheFileSystemRefusesIsASentence) {
  const std::filesystem::filesystem_error error("cannot iterate", "/there", std::make_error_code(std::errc::io_error));
  EXPECT_THAT(run_throwing(error).err, StartsWith("error: can't use '/there': "));
}

TEST(ErrorsTest, WhatAFileHoldsCannotSpeakToTheTerminal) {
  const Outcome outcome =
      run_throwing(Error("odd \x1b]0;t\a\xC2\x9B"
                         "2J \u202E\xFF\n line",
                         "hint\x1b[2J"));
  EXPECT_EQ(outcome.err, "error: odd \\x1b]0;t\\x07\\x9b2J \\u202e\\xff\\n line\nhint: hint\\x1b[2J\n");
}

TEST(ErrorsTest, ALongValueIsShortenedInTheMiddle) {
  const Outcome outcome = run_throwing(Error("begin " + std::string(5'000'000, 'A') + " end", std::string(9'000, 'h')));
  EXPECT_LT(outcome.err.size(), 1'300U);
  EXPECT_THAT(outcome.err, StartsWith("error: begin AAA"));
  EXPECT_THAT(outcome.err, HasSubstr(" … "));
  EXPECT_THAT(outcome.err, HasSubstr("A end\n"));
}

TEST(ErrorsTest, AnythingElseThrownIsOne) {
  EXPECT_EQ(run_throwing(42).code, 1);
}

TEST(ErrorsTest, AReaderThatLeftIsNoError) {
  const Outcome outcome = run_throwing(terminal::OutputClosed());
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.err, IsEmpty());
}

TEST(ErrorsTest, WithJsonErrorsAreOneObjectOnStderr) {
  const std::string start = R"({"version":1,"command":"extend",)";
  Outcome outcome = run_program({"--json", "extend", "--data", "d"}, [] { throw Error("it broke"); });
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, start + R"("error":{"code":"failed","message":"it broke","hint":null,"exit_code":1}})" + "\n");
  outcome = run_program({"extend", "--data", "d", "--json"}, [] { throw NoSpaceError("full \x1b", "make room"); });
  EXPECT_EQ(outcome.err,
            start + R"("error":{"code":"no_space","message":"full \\x1b","hint":"make room","exit_code":1}})" + "\n");
  outcome = run_program({"extend", "--data", "d", "--json"}, [] { throw ReportCutOff("made base@2", ""); });
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.err,
            start + R"("note":{"code":"cut_off","message":"made base@2","hint":null,"exit_code":0}})" + "\n");
  outcome = run_program({"--json", "extnd"});
  EXPECT_EQ(outcome.err, R"({"version":1,"command":null,"error":{"code":"usage","message":"unknown command 'extnd'",)"
                         R"("hint":"did you mean 'extend'?","exit_code":2}})"
                         "\n");
}

TEST(ErrorsTest, BehindTwoDashesNothingAsksForJson) {
  EXPECT_THAT(run_program({"extnd", "--", "--json"}).err, StartsWith("error: "));
}

TEST(ErrorsTest, WhatIsPreparedIsToldLikeTheRest) {
  CLI::App app("", "mformer");
  std::ostringstream out, err;
  const char* arguments[] = {"mformer", "--json"};
  EXPECT_EQ(run_guarded(app, 2, arguments, out, err, [] { throw UsageError("line 3", "mend it"); }), 2);
  EXPECT_THAT(err.str(), HasSubstr("line 3"));
}

TEST(BracketsTest, ValuesInBracketsAreNoLists) {
  CLI::App app("", "mformer");
  std::vector<std::string> many;
  std::string one;
  CLI::App* command = app.add_subcommand("run");
  command->add_option("--many", many);
  command->add_option("--one", one);
  keep_brackets(app);
  const char* arguments[] = {"mformer",   "run",    "--many", "[/INST]", "[a,b]",
                             "--many=[]", "--many", "[[b]]",  "--one",   "[x]"};
  app.parse(mark_brackets(static_cast<int>(std::size(arguments)), arguments));
  EXPECT_EQ(many, (std::vector<std::string>{"[/INST]", "[a,b]", "[]", "[[b]]"}));
  EXPECT_EQ(one, "[x]");
}

TEST(BracketsTest, AnArgumentThatIsRefusedIsQuotedAsItWasGiven) {
  expect_usage_error({"[extend]"}, "error: unknown command '[extend]'\nhint: did you mean 'extend'?\n");
  EXPECT_THAT(run_program({"prune", "--keep", "[0.3]"}).err, HasSubstr("'[0.3]'"));
}

}  // namespace
}  // namespace mformer::cli
