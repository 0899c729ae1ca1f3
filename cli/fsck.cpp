#include "cli/command.h"
#include "cli/commands.h"
#include "cli/terminal/report.h"
#include "cli/workspace.h"

namespace mformer::cli {
namespace {

void run_fsck(const GlobalOptions& global) {
  Workspace workspace(global, "fsck", OpenMode::read_only);
  const std::vector<std::string> problems = workspace.registry().fsck();
  const std::size_t objects = workspace.registry().objects().list().size();
  terminal::Report report("fsck", global.json);
  report.data() = {{"sound", problems.empty()}, {"objects", objects}, {"problems", problems}};
  for (const std::string& problem : problems) report.text() << problem << '\n';
  if (problems.empty()) report.text() << "the workspace is sound: " << objects << " objects read and checked\n";
  report.print();
  if (problems.empty()) return;
  throw Error(
      "the workspace has " + std::to_string(problems.size()) + (problems.size() == 1 ? " problem" : " problems"),
      "versions that do not use the damaged objects still work: mformer use NAME@N");
}

}  // namespace

void setup_fsck(CLI::App& parent, const GlobalOptions& global) {
  CLI::App* command = add_command(
      parent, {"fsck", groups::registry,
               "Read every object again and check every reference; exit 1 if anything is wrong", "mformer fsck"});
  command->callback([&global] { run_fsck(global); });
}

}  // namespace mformer::cli
