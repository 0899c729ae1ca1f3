#include <cmath>
#include <filesystem>
#include <optional>
#include <sstream>

#include "cli/loss_curve.h"
#include "modules_registry/registry.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/readers.h"

namespace mformer::fuzz {
namespace {

/// The operation that seeds' session.json is of.
OperationRecord operation() {
  OperationRecord operation;
  operation.command = "train";
  operation.arguments_json = R"({"steps":2})";
  operation.seed = 7;
  operation.code_version = "0.1.0";
  return operation;
}

}  // namespace

/// What a training leaves in its folder, in parts: session.json and metrics.jsonl, of which `log` makes a curve.
void read_session(std::string_view input) {
  static const Scratch workspace;
  static const Registry registry = [] {
    Registry made = Registry::create(workspace.path());
    std::filesystem::create_directory(made.folder() / "runs");
    std::filesystem::create_directory_symlink(Scratch::folder().path(), made.folder() / "runs" / "0123456789abcdef");
    return made;
  }();
  write_parts(input, Scratch::folder());
  const std::optional<cli::PastRun> found = cli::find_run(registry, operation());
  for (const bool json : {false, true}) {
    std::ostringstream out;
    terminal::Report report("log", json, out, {.unicode = true, .width = 80});
    cli::report_curve(report, found);
    report.print();
    must(json || out.str().size() < 10'000, "a curve of any length is some lines");
  }
  if (!found) throw Error("no run of this operation", "none");
  for (const auto& [step, loss] : found->losses) must(std::isfinite(loss), "a loss is a number");
}

}  // namespace mformer::fuzz
