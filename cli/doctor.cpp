#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <sqlite3.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/computes.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/workspace.h"
#include "core/device/device.h"
#include "kernels/self_check.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

void report_machine(Report& report) {
  const std::string processor = at::get_cpu_capability();
  const unsigned cores = std::thread::hardware_concurrency();
  report.data()["versions"] = {
      {"mformer", MFORMER_VERSION}, {"libtorch", TORCH_VERSION}, {"sqlite", sqlite3_libversion()}};
  report.data()["threads"] = at::get_num_threads();
  report.data()["cores"] = cores;
  report.data()["cpu_capability"] = processor;
  report.data()["products"] = kernels::products_of_this_processor();
  report.text() << "mformer    " << MFORMER_VERSION << "\nLibTorch   " << TORCH_VERSION << "\nSQLite     "
                << sqlite3_libversion() << "\nprocessor  " << cores << " cores, " << processor << "\nproducts   "
                << kernels::products_of_this_processor() << "\nthreads    " << at::get_num_threads() << '\n';
}

/// Returns how many operations compute something wrong.
std::size_t report_kernels(Report& report) {
  std::size_t failed = 0;
  auto& rows = report.data()["kernels"] = ordered_json::array();
  for (const kernels::SelfCheck& check : kernels::self_check()) {
    failed += check.passed() ? 0 : 1;
    rows.push_back({{"operation", check.operation},
                    {"error", check.error},
                    {"tolerance", check.tolerance},
                    {"passed", check.passed()}});
    report.text() << "kernel     " << check.operation << ": " << (check.passed() ? "right" : "WRONG")
                  << " (relative error " << check.error << ")\n";
  }
  return failed;
}

/// What a GPU's kernel gave; a wrong one is replaced by LibTorch operations.
void describe(std::ostream& out, const kernels::DeviceSelfCheck& check) {
  out << "gpu        " << check.kernel << ", " << check.input << ": ";
  if (!check.refusal.empty()) {
    out << "DID NOT RUN (" << check.refusal << "), LibTorch operations in its stead\n";
    return;
  }
  out << (check.passed ? "right" : "WRONG, LibTorch operations in its stead") << " (relative error " << check.error
      << "), " << check.kernel_ms << " ms, LibTorch operations " << check.composite_ms << " ms\n";
}

/// With --device cuda: every GPU kernel against the CPU. Returns how many are wrong or did not run.
std::size_t report_device(Report& report, const std::string& name) {
  const at::Device device = open_device(name);
  report.data()["device"] = device.str();
  if (device.is_cpu()) return 0;
  auto& rows = report.data()["device_kernels"] = ordered_json::array();
  const std::vector<kernels::DeviceSelfCheck> checks = kernels::self_check(device);
  for (const kernels::DeviceSelfCheck& check : checks) {
    rows.push_back({{"kernel", check.kernel},
                    {"input", check.input},
                    {"error", check.error},
                    {"tolerance", check.tolerance},
                    {"ms", check.kernel_ms},
                    {"libtorch_ms", check.composite_ms},
                    {"passed", check.passed},
                    {"refusal", check.refusal}});
    describe(report.text(), check);
  }
  return kernels::count_failed(checks);
}

bool has_workspace(const GlobalOptions& global) {
  return !global.workspace.empty() || Registry::find(std::filesystem::current_path()).has_value();
}

/// The cheap half of a check: whether every module's object of the current versions is there.
std::size_t missing_objects(const Registry& registry) {
  std::size_t missing = 0;
  for (const ModelRecord& model : registry.models()) {
    for (const LayerManifest& layer : registry.manifest(model.current_version).layers) {
      for (const Kind kind : {Kind::att, Kind::mlp}) {
        for (const ManifestModule& module : layer.modules(kind)) {
          missing += registry.objects().contains(module.object_hash) ? 0 : 1;
        }
      }
    }
  }
  return missing;
}

/// Returns how many objects are missing.
std::size_t report_workspace(Report& report, const GlobalOptions& global) {
  if (!has_workspace(global)) {
    report.data()["workspace"] = nullptr;
    report.text() << "workspace  none here\n";
    return 0;
  }
  Workspace workspace(global, "doctor", OpenMode::read_only);
  const Registry& registry = workspace.registry();
  const std::vector<OperationRecord> operations = registry.operations();
  const auto interrupted = std::count_if(operations.begin(), operations.end(), [](const OperationRecord& operation) {
    return operation.outcome == Outcome::interrupted;
  });
  const std::size_t missing = missing_objects(registry);
  const std::size_t objects = registry.objects().list().size();
  report.data()["workspace"] = {{"folder", registry.folder().string()},
                                {"models", registry.models().size()},
                                {"tasks", registry.tasks().size()},
                                {"operations", operations.size()},
                                {"interrupted_operations", interrupted},
                                {"objects", objects},
                                {"missing_objects", missing}};
  report.text() << "workspace  " << registry.folder().string() << ": " << registry.models().size() << " models, "
                << registry.tasks().size() << " tasks, " << objects << " objects, " << missing << " missing\n";
  return missing;
}

void run_doctor(const GlobalOptions& global) {
  apply_device_options(global);
  Report report("doctor", global.json);
  report_machine(report);
  const std::size_t wrong_kernels = report_kernels(report);
  const std::size_t wrong_on_device = report_device(report, global.device);
  const std::size_t missing = report_workspace(report, global);
  report.data()["healthy"] = wrong_kernels + wrong_on_device + missing == 0;
  report.print();
  if (wrong_kernels > 0) {
    throw Error(std::to_string(wrong_kernels) + " kernels compute wrong numbers on this machine",
                "build again from a clean folder, and check which LibTorch is loaded");
  }
  if (wrong_on_device > 0) {
    throw Error(
        std::to_string(wrong_on_device) + " kernels of the GPU are wrong or did not run",
        "results stay right, as LibTorch operations compute in their stead, but slower; the lines above name them");
  }
  if (missing > 0) {
    throw Error("the workspace lacks " + std::to_string(missing) + " objects", "mformer fsck names them");
  }
}

}  // namespace

void setup_doctor(CLI::App& parent, const GlobalOptions& global) {
  CLI::App* command = add_command(
      parent, {"doctor", groups::registry,
               "Show versions and threads, check the kernels and the workspace; exit 1 if anything is wrong",
               "mformer doctor"});
  computes(*command, [&global] { run_doctor(global); });
}

}  // namespace mformer::cli
