#include "cli/processes.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string_view>
#include <thread>
#include <utility>

#include "cli/interrupt.h"

namespace mformer::cli {
namespace {

using Environment = std::function<const char*(const char*)>;

/// The number that a variable begins with ("2(x3)", as Slurm says "2 on each of 3 machines"); `absent` where there is
/// none.
int number_in(const Environment& variable, const char* name, int absent) {
  const char* text = name == nullptr ? nullptr : variable(name);
  if (text == nullptr) return absent;
  const std::string_view view(text);
  int number = 0;
  const auto read = std::from_chars(view.data(), view.data() + view.size(), number);
  return read.ec == std::errc() && number >= 0 ? number : absent;
}

struct Variables {
  const char *rank, *size, *beside;
};

/// Open MPI's mpirun, srun, then what launchers of MPICH and its kin set. Slurm's SLURM_NTASKS would be there in a
/// batch script too, which is one process.
constexpr std::array<Variables, 3> kLaunchers = {{
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"},
    {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_TASKS_PER_NODE"},
    {"PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS"},
}};

bool& shared_work() {
  static bool shared = false;
  return shared;
}

/// These write files of their own, in the order of the text.
constexpr std::array<const char*, 3> kOfTheFirst = {"--matrix", "--tasks", "--trace"};

bool is_shared_line(const CLI::App& app) {
  std::string name;
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    name += (name.empty() ? "" : " ") + at->get_name();
  }
  return is_shared_by_processes(name) && std::none_of(kOfTheFirst.begin(), kOfTheFirst.end(), [at](const char* option) {
           const CLI::Option* found = at->get_option_no_throw(option);
           return found != nullptr && found->count() > 0;
         });
}

std::function<void(int)>& last_work() {
  static std::function<void(int)> work;
  return work;
}

}  // namespace

Launch launch_of(const Environment& variable) {
  for (const Variables& one : kLaunchers) {
    const Launch found{number_in(variable, one.rank, -1), number_in(variable, one.size, 0),
                       number_in(variable, one.beside, 1)};
    if (found.rank < 0 || found.size < 2 || found.rank >= found.size) continue;
    return {found.rank, found.size, std::clamp(found.beside, 1, found.size)};
  }
  return {};
}

const Launch& launch() {
  static const Launch here = launch_of([](const char* name) { return std::getenv(name); });
  return here;
}

bool is_shared_by_processes(const std::string& command) {
  constexpr std::array<const char*, 6> kShared = {"train",          "extend", "finetune", "eval", "inspect keep-curve",
                                                  "inspect routing"};
  return std::find(kShared.begin(), kShared.end(), command) != kShared.end();
}

bool works_with_others() {
  return shared_work();
}

void leave_to_the_first(CLI::App& app) {
  if (launch().size == 1) return;
  app.parse_complete_callback([&app] {
    shared_work() = is_shared_line(app);
    if (launch().is_follower() && !shared_work()) throw NothingToDo();
  });
}

void silence_follower() {
  if (!launch().is_follower()) return;
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere >= 0) ::dup2(nowhere, STDOUT_FILENO);
}

void tell_failure_of_follower(const std::string& text) {
  constexpr int kWaitMs = 5000, kLookMs = 20;
  for (int waited = 0; waited < kWaitMs && !interrupted(); waited += kLookMs) {
    std::this_thread::sleep_for(std::chrono::milliseconds(kLookMs));
  }
  if (interrupted() || text.empty()) return;
  const std::string whose = "process " + std::to_string(launch().rank) + " of " + std::to_string(launch().size) + ": ";
  std::cerr << (text.front() == '{' ? "" : whose) << text << std::flush;
}

void at_end(std::function<void(int)> work) {
  last_work() = std::move(work);
}

void run_at_end(int code) {
  if (last_work()) std::exchange(last_work(), {})(code);
}

}  // namespace mformer::cli
