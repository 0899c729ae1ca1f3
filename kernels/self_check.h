#pragma once

#include <string>
#include <vector>

namespace mformer::kernels {

/// One operation compared with plain loops in float64 on a small random input.
struct SelfCheck {
  std::string operation;
  double error = 0;      ///< ‖ours − loops‖ / ‖loops‖.
  double tolerance = 0;  ///< Float32 rounding of sums this short stays well below it.
  bool passed() const { return error <= tolerance; }
};

/// Runs every kernel once, in milliseconds: says whether this machine's libraries and processor compute as they should.
/// The same input each time. Throws c10::Error only where a kernel refuses its input, which is a bug.
std::vector<SelfCheck> self_check();

}  // namespace mformer::kernels
