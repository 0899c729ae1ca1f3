// Threads that sleep while they wait for work instead of spinning.
//
// LibTorch computes through OpenMP, whose threads by default spin at the end of each parallel region. With any other
// process on one of the cores, that turns milliseconds into scheduler time slices: a training step was measured 20
// times slower. A spin of some microseconds, the time from one region to the next, saves most wake-ups and costs
// nothing beside others (docs/performance.md). The OpenMP runtime reads both settings once, in its constructor, before
// main(); so the program sets them before any library's constructor runs and starts itself again, which costs about
// 40 ms.

#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>

namespace {

void sleep_while_waiting(int /*argc*/, char** argv, char** environment) {
  static char policy[] = "OMP_WAIT_POLICY=passive";
  static char spin[] = "GOMP_SPINCOUNT=3000";
  static std::array<char*, 4096> with_policy{};
  const std::size_t name_length = sizeof "OMP_WAIT_POLICY=" - 1;
  std::size_t count = 0;
  for (; environment[count] != nullptr; ++count) {
    if (std::strncmp(environment[count], policy, name_length) == 0) return;  // the user's word, or the second start
    if (count + 3 >= with_policy.size()) return;
    with_policy[count] = environment[count];
  }
  with_policy[count] = policy;
  with_policy[count + 1] = spin;
  std::array<char, 4096> program{};
  if (readlink("/proc/self/exe", program.data(), program.size() - 1) <= 0) return;
  execve(program.data(), argv, with_policy.data());
  // Where the program can't be started again it goes on as it is: slower beside others, correct all the same.
}

// Functions listed here run before the constructors of shared libraries.
[[gnu::section(".preinit_array"), gnu::used]] void (*const before_constructors)(int, char**,
                                                                                char**) = sleep_while_waiting;

}  // namespace
