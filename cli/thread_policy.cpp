// Threads that sleep while they wait for work instead of spinning.
//
// LibTorch computes through OpenMP, whose threads by default spin at the end of each parallel region. With any other
// process on one of the cores, that turns milliseconds into scheduler time slices: a training step was measured 20
// times slower. A spin of some microseconds, the time from one region to the next, saves most wake-ups and costs
// nothing beside others (docs/performance.md). The OpenMP runtime reads both settings once, in its constructor, before
// main(). So the program puts them into the environment before any library's constructor runs, in the place of two
// variables that no library reads then, and puts those back before main(). Where there are no two such variables, it
// starts itself again with a longer environment, which costs about 40 ms: LibTorch is linked a second time.

#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>

namespace {

char policy[] = "OMP_WAIT_POLICY=passive";
char spin[] = "GOMP_SPINCOUNT=3000";

/// A variable of the environment that lends its place, and what it was.
struct Place {
  char** variable = nullptr;
  char* before = nullptr;
};
std::array<Place, 2> lent;

bool is_variable(const char* entry, const char* name) {
  const std::size_t length = std::strlen(name);
  return std::strncmp(entry, name, length) == 0 && entry[length] == '=';
}

// What shells and users read, and no constructor of a library.
bool may_lend(const char* entry) {
  for (const char* name :
       {"_", "SHLVL", "OLDPWD", "PWD", "SHELL", "USER", "LOGNAME", "HOSTNAME", "TERM", "PATH", "HOME"}) {
    if (is_variable(entry, name)) return true;
  }
  return false;
}

bool borrow_places(char** environment) {
  std::size_t found = 0;
  for (char** variable = environment; *variable != nullptr && found < lent.size(); ++variable) {
    if (may_lend(*variable)) lent[found++] = {variable, *variable};
  }
  if (found < lent.size()) return false;
  *lent[0].variable = policy;
  *lent[1].variable = spin;
  return true;
}

void start_again(char** argv, char** environment) {
  static std::array<char*, 4096> longer{};
  std::size_t count = 0;
  for (; environment[count] != nullptr; ++count) {
    if (count + 3 >= longer.size()) return;
    longer[count] = environment[count];
  }
  longer[count] = policy;
  longer[count + 1] = spin;
  std::array<char, 4096> program{};
  if (readlink("/proc/self/exe", program.data(), program.size() - 1) <= 0) return;
  execve(program.data(), argv, longer.data());
  // Where the program can't be started again it goes on as it is: slower beside others, correct all the same.
}

void sleep_while_waiting(int /*argc*/, char** argv, char** environment) {
  for (char** variable = environment; *variable != nullptr; ++variable) {
    if (is_variable(*variable, "OMP_WAIT_POLICY")) return;  // the user's word, or the second start
  }
  if (!borrow_places(environment)) start_again(argv, environment);
}

// Functions listed here run before the constructors of shared libraries.
[[gnu::section(".preinit_array"), gnu::used]] void (*const before_constructors)(int, char**,
                                                                                char**) = sleep_while_waiting;

// The program's own constructors run after those of its libraries.
[[gnu::constructor]] void give_places_back() {
  for (const Place& place : lent) {
    if (place.variable != nullptr) *place.variable = place.before;
  }
}

}  // namespace
