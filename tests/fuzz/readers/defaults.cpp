#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <sstream>

#include "cli/config_file.h"
#include "cli/errors.h"
#include "cli/global_options.h"
#include "modules_registry/printable.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/readers.h"

namespace mformer::fuzz {
namespace {

/// Commands with an option of each kind.
struct Commands {
  CLI::App root{"An app", "mformer"};
  cli::GlobalOptions global;
  std::string into;
  std::vector<std::string> tasks;
  int steps = 1;
  double keep = 0.5;
  bool quick = false;

  Commands() {
    cli::add_global_options(root, global);
    CLI::App& extend = *root.add_subcommand("extend", "Extends");
    extend.add_option("--into", into, "Model")->required();
    extend.add_option("--steps", steps, "Steps")->check(CLI::Range(1, 1000));
    extend.add_option("--task", tasks, "Tasks");
    extend.add_flag("--quick", quick, "Quickly");
    CLI::App& inspect = *root.add_subcommand("inspect", "Looks");
    inspect.add_subcommand("keep-curve", "Looks")->add_option("--keep", keep, "Share")->check(CLI::Range(0.0, 1.0));
  }
};

/// What the program says with these defaults; whether they were refused.
bool is_refused(std::initializer_list<const char*> words) {
  Commands commands;
  std::ostringstream out, err;
  const int argc = static_cast<int>(words.size());
  const int code = cli::run_guarded(commands.root, argc, std::data(words), out, err,
                                    [&] { cli::apply_config_files(commands.root, argc, std::data(words)); });
  must(code == 0 || code == 2, "it works, or the defaults are refused: " + err.str());
  must((code == 0) == err.str().empty(), "a refusal says something");
  must(code == 0 || (commands.steps >= 1 && commands.steps <= 1000), "no default is one that its option refuses");
  for (const std::string& text : {out.str(), err.str()}) {
    must(text.size() < 20'000, "it says no more than is read");
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) must(is_printable(line), "it says printable text");
  }
  return code != 0;
}

}  // namespace

/// $XDG_CONFIG_HOME/mformer/config, read for a command and for its help.
void read_defaults(std::string_view input) {
  const Scratch& scratch = Scratch::folder();
  static const bool told = [&] {
    std::filesystem::create_directory(scratch.path() / "mformer");
    std::filesystem::create_directories(scratch.path() / "work" / ".mformer");
    return ::setenv("XDG_CONFIG_HOME", scratch.path().c_str(), 1) == 0 &&
           ::setenv("MFORMER_WORKSPACE", (scratch.path() / "work").c_str(), 1) == 0;
  }();
  must(told, "the environment can be set");
  scratch.write("mformer/config", input);
  const bool refused = is_refused({"mformer", "extend", "--into", "a"});
  must(is_refused({"mformer", "inspect", "keep-curve", "--help"}) == refused, "defaults hold for all commands");
  if (refused) throw Error("these defaults were refused, which was looked at");
}

}  // namespace mformer::fuzz
