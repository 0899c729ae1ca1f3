#include "cli/help.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/global_options.h"
#include "cli/terminal/text.h"
#include "cli/validators.h"
#include "tests/cli/golden.h"

namespace mformer::cli {
namespace {

class HelpTest : public testing::Test {
 protected:
  HelpTest() {
    use_our_help(app_);
    add_global_options(app_, global_);
    CLI::App* prune = add_command(app_, {"prune", groups::learning, "Make a smaller version with what a task needs",
                                         "mformer prune --task qa --keep 0.3"});
    prune->add_option("NAME", text_, "Name of the new model")->required();
    prune->add_option("--keep", number_, "Fraction of the modules of each kind, rounded up, never fewer than k a layer")
        ->check(fraction())
        ->required();
    prune->add_option("--heal-steps", steps_, "Steps that train only the routers; default: 0");
    prune->add_option("--task", list_, "Tasks to keep")->type_name("NAME");
    bool* dry_run = &flag_;
    add_dry_run(*prune, *dry_run);
    add_command_group(app_, {"inspect", groups::inspect, "Look into a model", "mformer inspect routing"});
  }

  CLI::App app_{"The life of a modular language model", "mformer"};
  GlobalOptions global_;
  std::string text_;
  double number_ = 1;
  int steps_ = 0;
  bool flag_ = false;
  std::vector<std::string> list_;
};

TEST_F(HelpTest, OfTheProgram) {
  test::expect_golden("help_program.txt", app_.help());
}

TEST_F(HelpTest, OfACommand) {
  test::expect_golden("help_command.txt", app_.get_subcommand("prune")->help("mformer"));
}

TEST_F(HelpTest, EveryLineFitsEightyColumns) {
  std::istringstream lines(app_.help() + app_.get_subcommand("prune")->help());
  for (std::string line; std::getline(lines, line);) EXPECT_LE(terminal::display_width(line), 80) << line;
}

}  // namespace
}  // namespace mformer::cli
