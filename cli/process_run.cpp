#include "cli/process_run.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>
#include <vector>

#include "cli/hand_over.h"
#include "cli/interrupt.h"
#include "cli/processes.h"
#include "cli/registry_workspace.h"
#include "core/parallel/plug_in.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"
#include "modules_registry/registry_copy.h"
#include "modules_registry/scratch_folder.h"

namespace mformer::cli {
namespace {

namespace fs = std::filesystem;

/// All that a run of several processes needs, until the end of the program.
struct ProcessRun {
  GlobalOptions options;
  std::unique_ptr<ProcessGroup> group;
  std::optional<ScratchFolder> scratch;
};

std::unique_ptr<ProcessRun>& the_run() {
  static std::unique_ptr<ProcessRun> run;
  return run;
}

fs::path own_program() {
  return fs::read_symlink("/proc/self/exe");
}

/// MFORMER_PROCESS_TIMEOUT: seconds.
double timeout_of_environment() {
  const char* text = std::getenv("MFORMER_PROCESS_TIMEOUT");
  if (text == nullptr || *text == '\0') return ProcessGroupOptions{}.timeout;
  char* end = nullptr;
  const double seconds = std::strtod(text, &end);
  if (*end == '\0' && std::isfinite(seconds) && seconds > 0) return seconds;
  throw UsageError("MFORMER_PROCESS_TIMEOUT is a number of seconds above 0, not '" + std::string(text) + "'",
                   "for example MFORMER_PROCESS_TIMEOUT=600");
}

/// A fair part of the machine's cores, and no more than the launcher lets this process use.
int threads_of_this_process() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  const int all = std::max(1, static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)));
  const int mine = ::sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : all;
  return std::max(1, std::min(mine, all / launch().beside));
}

/// The words that were typed, but for where the workspace lies: machines may have copies of it in places of their own.
std::string compared_words() {
  std::string line;
  const std::vector<std::string> words = typed_words();
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--workspace") {
      ++i;
    } else if (!words[i].starts_with("--workspace=")) {
      line += words[i] + '\0';
    }
  }
  return line;
}

void remove_copy(const fs::path& folder) {
  std::error_code stays;
  fs::remove_all(folder, stays);  // follows no link
}

void work_in_a_copy(ProcessRun& run) {
  std::error_code error;
  const fs::path temporary = fs::temp_directory_path(error);
  if (error) throw Error("there is no folder for temporary files: " + error.message(), "set TMPDIR to one");
  const fs::path original = workspace_folder(run.options);
  run.scratch.emplace(temporary, "mformer-process", remove_copy);
  const fs::path copy = run.scratch->path() / "workspace";
  fs::create_directory(copy);
  copy_registry(original, copy);
  run.options.workspace = copy.string();
  run.options.quiet = true;
}

/// At the end of the program: together where all went well, so that the launcher sees it.
void part(int code) {
  const std::unique_ptr<ProcessRun> run = std::move(the_run());
  try {
    if (code == 0) run->group->leave();
  } catch (const Error&) {
    // Another process ended otherwise, and says so itself; what this one had to do is done.
  }
  if (code != 0) [[maybe_unused]]
    const auto* left = run->group.release();  // MPI may not come back from where it is
}

}  // namespace

const GlobalOptions& joined(const GlobalOptions& global) {
  if (!works_with_others()) return global;
  if (the_run() != nullptr) return the_run()->options;
  const fs::path workspace = workspace_folder(global);
  std::error_code missing;
  if (!fs::exists(workspace / ".mformer", missing) && workspace.filename() != ".mformer") return global;  // all fail
  const ProcessGroupOptions waits{.timeout = timeout_of_environment(), .should_stop = [] { return interrupted(); }};
  auto transport = open_transport(own_program().parent_path() / "mformer-mpi.so");
  if (transport->size() != launch().size || transport->rank() != launch().rank) {
    throw Error("the launcher says that this is process " + std::to_string(launch().rank) + " of " +
                    std::to_string(launch().size) + ", and MPI that it is " + std::to_string(transport->rank()) +
                    " of " + std::to_string(transport->size()),
                "use the mpirun of the MPI that mformer was built with; with srun, the --mpi of that");
  }
  the_run() = std::make_unique<ProcessRun>();
  ProcessRun& run = *the_run();
  run.options = global;
  run.group = std::make_unique<ProcessGroup>(std::move(transport), waits);
  at_end(part);
  require_same(*run.group, "the program", sha256_file(own_program()), "install the same mformer on every machine");
  require_same(*run.group, "the command line", compared_words(), "give every process the same arguments");
  if (global.threads == 0) run.options.threads = threads_of_this_process();
  if (!run.group->is_first()) work_in_a_copy(run);
  run.group->barrier();  // nobody writes before all have their copy
  return run.options;
}

ProcessGroup* processes() {
  return the_run() == nullptr ? nullptr : the_run()->group.get();
}

}  // namespace mformer::cli
