// All commands as they are set up: what holds for every option of every one of them.

#include "cli/commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <set>

#include "cli/arguments.h"
#include "cli/help.h"
#include "core/workflows/extend.h"
#include "core/workflows/tune.h"

namespace mformer::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class CommandsTest : public ::testing::Test {
 protected:
  CommandsTest() {
    use_our_help(app_);
    add_global_options(app_, global_);
    setup_commands(app_, global_);
    add_all(app_);
  }
  void add_all(CLI::App& parent) {
    for (CLI::App* command : parent.get_subcommands([](CLI::App*) { return true; })) {
      all_.push_back(command);
      add_all(*command);
    }
  }
  static bool has_effect(const CLI::Option& option) {
    const auto begin = std::begin(options_without_effect), end = std::end(options_without_effect);
    return option.get_lnames().empty() || std::find(begin, end, option.get_lnames().front()) == end;
  }

  CLI::App app_{"", "mformer"};
  GlobalOptions global_;
  std::vector<CLI::App*> all_;
};

TEST_F(CommandsTest, EveryOptionThatCanChangeAResultIsAmongTheArguments) {
  std::size_t tried = 0;
  for (const char* name : {"train", "extend", "finetune", "prune", "upcycle", "merge", "graft", "drop"}) {
    CLI::App* command = app_.get_subcommand(name);
    for (CLI::Option* option : command->get_options()) {
      const auto before = arguments_of(*command);
      option->add_result(option->get_expected_max() == 0 ? "true" : "0.015625");
      const bool changed = arguments_of(*command) != before;
      option->clear();
      EXPECT_EQ(changed, has_effect(*option)) << name << ' ' << option->get_name();
      ++tried;
    }
  }
  EXPECT_GT(tried, 100U);
}

TEST_F(CommandsTest, HowOftenIsValidatedIsAnArgumentWhereThatDecides) {
  for (const auto& [name, value] : {std::pair{"--keep-best", "true"}, {"--patience", "3"}}) {
    CLI::App* train = app_.get_subcommand("train");
    EXPECT_FALSE(arguments_of(*train).contains("eval_every"));
    train->get_option(name)->add_result(value);
    EXPECT_TRUE(arguments_of(*train).contains("eval_every")) << name;
    train->get_option(name)->clear();
  }
}

TEST_F(CommandsTest, OptionsWithoutEffectAreDocumented) {
  std::ifstream page("docs/training.md");
  const std::string text((std::istreambuf_iterator<char>(page)), {});
  for (const std::string_view name : options_without_effect) {
    if (name.starts_with("help") || name == "dry-run") continue;
    EXPECT_THAT(text, HasSubstr("`--" + std::string(name) + "`"));
  }
}

TEST_F(CommandsTest, ArgumentsAreTheSameWhetherADefaultIsGivenOrNot) {
  CLI::App* train = app_.get_subcommand("train");
  const auto before = arguments_of(*train);
  train->get_option("--steps")->add_result("1000");
  train->get_option("--lr")->add_result("1e-3");
  EXPECT_EQ(arguments_of(*train), before);
  EXPECT_EQ(before["steps"], 1000);
  EXPECT_EQ(before["bf16"], false);
  EXPECT_FALSE(before.contains("into"));
}

TEST_F(CommandsTest, PathsAreArgumentsWhateverTheWorkingDirectory) {
  CLI::App* train = app_.get_subcommand("train");
  train->get_option("--data")->add_result("texts/../english/");
  EXPECT_EQ(arguments_of(*train)["data"], (std::filesystem::current_path() / "english/").string());
}

TEST_F(CommandsTest, HelpShowsTheDefaultsThatTheVariablesHave) {
  const std::regex typed("default: [0-9]");
  std::size_t shown = 0;
  for (CLI::App* command : all_) {
    for (const CLI::Option* option : command->get_options()) {
      const bool computed = command->get_name() == "prune" && option->check_name("--lr");
      const bool conditional = command->get_name() == "extend" && option->check_name("--rehearse");
      const bool both = command->get_name() == "extend" && option->check_name("--replay");
      if (!computed && !conditional && !both) {
        EXPECT_FALSE(std::regex_search(option->get_description(), typed))
            << command->get_name() << ' ' << option->get_name() << ": a number typed by hand";
      }
      shown += option->get_default_str().empty() ? 0 : 1;
    }
  }
  EXPECT_GT(shown, 60U);
  EXPECT_THAT(app_.get_subcommand("extend")->help("", CLI::AppFormatMode::All),
              HasSubstr("default: " + written(ExtendCommand().rehearse_weight)));
  EXPECT_THAT(app_.get_subcommand("extend")->get_option("--replay")->get_description(),
              HasSubstr("rehearsal " + written(ExtendCommand::kReplay)));
  EXPECT_THAT(app_.get_subcommand("prune")->get_option("--lr")->get_description(),
              HasSubstr("default: " + written(kTuneLearningRate) + " with"));
  EXPECT_THAT(app_.get_subcommand("finetune")->help(), HasSubstr("default: 0.0003"));
  EXPECT_THAT(app_.get_subcommand("finetune")->get_option("--keep")->get_description(), HasSubstr("default: all stay"));
}

TEST_F(CommandsTest, HelpNamesValuesInWordsOfOurOwn) {
  for (CLI::App* command : all_) {
    const std::string page = command->help();
    for (const char* inner : {" OR ", " AND ", "({", "[[", " UINT", " INT", " FLOAT", "{false}"}) {
      EXPECT_THAT(page, Not(HasSubstr(inner))) << command->get_name();
    }
    EXPECT_EQ(std::count(page.begin(), page.end(), '['), std::count(page.begin(), page.end(), ']'))
        << command->get_name();
  }
  EXPECT_THAT(app_.get_subcommand("extend")->help(), HasSubstr("--experts N|auto"));
  EXPECT_THAT(app_.get_subcommand("drop")->help(), HasSubstr("--born COMMAND[:TASK]..."));
}

}  // namespace
}  // namespace mformer::cli
