#include "cli/global_options.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cli/command.h"

namespace mformer::cli {
namespace {

class GlobalOptionsTest : public testing::Test {
 protected:
  void SetUp() override { unsetenv("MFORMER_WORKSPACE"); }
  void TearDown() override { unsetenv("MFORMER_WORKSPACE"); }

  // Parses with the commands `train [--task NAME...]`, `use MODEL` and `task add NAME`.
  GlobalOptions parse(std::vector<std::string> arguments) {
    CLI::App app("test", "mformer");
    GlobalOptions global;
    add_global_options(app, global);
    add_command(app, {"train", groups::learning, "Train", "mformer train"})->add_option("--task", tasks_);
    add_command(app, {"use", groups::model, "Use", "mformer use base"})->add_option("MODEL", value_)->required();
    CLI::App* task = add_command_group(app, {"task", groups::data, "Tasks", "mformer task add qa"});
    add_command(*task, {"add", "", "Add", "mformer task add qa"})->add_option("NAME", value_)->required();
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes its own order in this overload
    app.parse(arguments);
    return global;
  }

  std::string value_;
  std::vector<std::string> tasks_;
};

TEST_F(GlobalOptionsTest, DefaultsAreThoseOfTheStruct) {
  const GlobalOptions global = parse({"train"});
  EXPECT_EQ(global.workspace, "");
  EXPECT_EQ(global.model, "");
  EXPECT_FALSE(global.json);
  EXPECT_FALSE(global.seed.has_value());
  EXPECT_EQ(global.threads, 0);
  EXPECT_EQ(global.device, "cpu");
  EXPECT_FALSE(global.quiet);
}

TEST_F(GlobalOptionsTest, TheyStandBeforeOrAfterTheCommand) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--workspace", "w", "--model", "base@3", "--json", "--seed", "7", "--threads", "2",
                                 "--device", "cuda:1", "--quiet", "train"},
        std::vector<std::string>{"train", "--workspace", "w", "--model", "base@3", "--json", "--seed", "7", "--threads",
                                 "2", "--device", "cuda:1", "--quiet"}}) {
    const GlobalOptions global = parse(arguments);
    EXPECT_EQ(global.workspace, "w");
    EXPECT_EQ(global.model, "base@3");
    EXPECT_TRUE(global.json);
    EXPECT_EQ(global.seed, 7);
    EXPECT_EQ(global.threads, 2);
    EXPECT_EQ(global.device, "cuda:1");
    EXPECT_TRUE(global.quiet);
  }
}

TEST_F(GlobalOptionsTest, TheyReachNestedCommands) {
  EXPECT_TRUE(parse({"task", "add", "qa", "--json"}).json);
  EXPECT_EQ(value_, "qa");
}

TEST_F(GlobalOptionsTest, TheEnvironmentNamesTheWorkspaceUnlessTheOptionDoes) {
  setenv("MFORMER_WORKSPACE", "from-environment", 1);
  EXPECT_EQ(parse({"train"}).workspace, "from-environment");
  EXPECT_EQ(parse({"train", "--workspace", "w"}).workspace, "w");
}

TEST_F(GlobalOptionsTest, NamesOfCommandsStayFreeAsValues) {
  parse({"use", "train"});
  EXPECT_EQ(value_, "train");
  parse({"task", "add", "use"});
  EXPECT_EQ(value_, "use");
  EXPECT_EQ(parse({"--model", "train", "use", "x"}).model, "train");
  parse({"train", "--task", "qa", "use", "task"});
  EXPECT_EQ(tasks_, (std::vector<std::string>{"qa", "use", "task"}));
}

TEST_F(GlobalOptionsTest, TheLargestSeedIsTaken) {
  EXPECT_EQ(parse({"--seed", "18446744073709551615", "train"}).seed, 18446744073709551615u);
}

TEST_F(GlobalOptionsTest, BadValuesAreRefused) {
  EXPECT_THROW(parse({"--threads", "0", "train"}), CLI::ValidationError);
  EXPECT_THROW(parse({"--threads", "99999999999", "train"}), CLI::ValidationError);
  EXPECT_THROW(parse({"--device", "gpu", "train"}), CLI::ValidationError);
  EXPECT_THROW(parse({"--seed", "-1", "train"}), CLI::ValidationError);
}

}  // namespace
}  // namespace mformer::cli
